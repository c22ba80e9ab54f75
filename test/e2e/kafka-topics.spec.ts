import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { IntegrationEvent, NotificationEvent, Outbox, OutboxRelay } from '@cqrs-outbox/core';
import { Transport } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { Kafka, logLevel } from 'kafkajs';
import { describeWith } from '../services/describe-with.ts';
import * as kafka from '../services/kafka.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer } from '../services/service.ts';
import { freePort } from '../services/wait.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/eventually.ts';
import { OrderPaid } from '../support/orders.ts';

@IntegrationEvent({ name: 'tests.nowhere', topic: 'nowhere', key: () => 'nowhere' })
class Nowhere extends NotificationEvent {
  @IsInt() step!: number;
}

@IntegrationEvent({ name: 'tests.large', topic: 'orders', key: () => 'large' })
class Large extends NotificationEvent {
  text!: string;
}

describeWith(['kafka'], 'topics of Kafka', () => {
  let directory: RunDirectory;
  let port: number;
  let server: RunningServer;
  let test: TestApp;

  beforeEach(async () => {
    directory = createRunDirectory();
    port = await freePort();
    server = await kafka.start(directory.path, port);
    const admin = new Kafka({ brokers: [server.url], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 2 }], waitForLeaders: true });
    await admin.disconnect();
    test = await createTestApp({
      database: 'libsql',
      options: {
        transport: {
          transport: Transport.KAFKA,
          options: {
            client: { brokers: [server.url], logCreator: () => () => undefined, connectionTimeout: 500 },
            producer: { allowAutoTopicCreation: false },
          },
        },
        relay: { publishTimeoutMs: 5_000, minBackoffMs: 50, maxBackoffMs: 500, maxAttempts: 1_000 },
      },
    });
  }, 60_000);
  afterEach(async () => {
    await test.close();
    await server.stop();
    directory.remove();
  }, 60_000);

  const append = (...events: NotificationEvent[]) =>
    test.orm.em.fork().transactional(async () => {
      for (const event of events) test.app.get(Outbox).append(event);
    });
  const waiting = async (): Promise<{ topic: string; attempts: number | null }[]> =>
    test.orm.em
      .fork()
      .getConnection()
      .execute(
        'select o.topic, r.attempts from cqrs_outbox o left join cqrs_outbox_retry r on r.entry_id = o.id',
      );

  it('that do not exist refuse their own messages only, also when they were first asked for while the broker was down', async () => {
    await append(OrderPaid.of({ orderId: 1, step: 1 }));
    await eventually(async () => expect(await waiting()).toEqual([]));
    await server.stop('SIGKILL');
    await append(Nowhere.of({ step: 1 }));
    await eventually(() => expect(test.app.get(OutboxRelay).health()[0]?.state).toBe('down'), 20_000);
    server = await kafka.start(directory.path, port);
    await append(OrderPaid.of({ orderId: 1, step: 2 }), OrderPaid.of({ orderId: 2, step: 1 }));
    await eventually(async () => {
      const rows = await waiting();
      expect(rows).toEqual([{ topic: 'nowhere', attempts: expect.any(Number) }]);
    }, 30_000);
    expect(await test.orm.em.fork().getConnection().execute('select * from cqrs_outbox_dead_letter')).toEqual(
      [],
    );
  }, 120_000);

  it('take a batch that is larger than one request may be, and nothing of it twice', async () => {
    const text = 'x'.repeat(100_000);
    await append(...Array.from({ length: 40 }, () => Large.of({ text })));
    await eventually(async () => expect(await waiting()).toEqual([]), 30_000);
    const admin = new Kafka({ brokers: [server.url], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const offsets = await admin.fetchTopicOffsets('orders');
    await admin.disconnect();
    expect(offsets.reduce((total, { offset }) => total + Number(offset), 0)).toBe(40);
  }, 60_000);
});
