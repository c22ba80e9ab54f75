import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  type TransportOption,
} from '@cqrs-outbox/core';
import { PlatformaticKafkaTransport } from '@cqrs-outbox/kafka';
import { Transport } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { Kafka, logLevel } from 'kafkajs';
import { describeWith } from '../services/describe-with.ts';
import * as kafka from '../services/kafka.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer } from '../services/service.ts';
import { freePort } from '../services/wait.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createTopics } from '../support/create-topics.ts';
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

@IntegrationEvent({ name: 'tests.small', topic: 'small', key: (event: Small) => event.of })
class Small extends NotificationEvent {
  of!: string;
  step!: number;
  text!: string;
}

type Publisher = (broker: string) => TransportOption;

const PUBLISHERS: Readonly<Record<string, Publisher>> = {
  'by ClientKafka': (broker) => ({
    transport: Transport.KAFKA,
    options: {
      client: { brokers: [broker], logCreator: () => () => undefined, connectionTimeout: 500 },
      producer: { allowAutoTopicCreation: false },
    },
  }),
  'by @platformatic/kafka': (broker) =>
    new PlatformaticKafkaTransport({
      bootstrapBrokers: [broker],
      publishTimeoutMs: 5_000,
      autocreateTopics: false,
    }),
};

for (const [name, publisher] of Object.entries(PUBLISHERS)) {
  describeWith(['kafka'], `topics of Kafka, ${name}`, () => topicTests(publisher));
}

function topicTests(publisher: Publisher): void {
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
    const configEntries = [{ name: 'max.message.bytes', value: '10000' }];
    await createTopics(
      admin,
      { topic: 'orders', numPartitions: 2 },
      { topic: 'small', numPartitions: 2, configEntries },
    );
    await admin.disconnect();
    test = await createTestApp({
      database: 'libsql',
      options: {
        transport: publisher(server.url),
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

  it('refuse for good what is larger than they take, and what follows it goes on in order', async () => {
    const keys = ['a', 'b', 'c'];
    const events = [0, 1, 2].flatMap((step) => keys.map((of) => Small.of({ of, step, text: '' })));
    for (const event of events) if (event.of === 'b' && event.step === 1) event.text = 'x'.repeat(20_000);
    await append(...events);
    await eventually(async () => expect(await waiting()).toEqual([]), 30_000);
    const letters = await test.orm.em
      .fork()
      .getConnection()
      .execute('select message_key, attempts from cqrs_outbox_dead_letter');
    expect(letters).toEqual([{ message_key: 'b', attempts: 1 }]);
    const arrived = await readAll('small', 8);
    for (const key of keys) {
      const all = arrived.filter(({ of }) => of === key).map(({ step }) => step);
      const expected = key === 'b' ? [0, 2] : [0, 1, 2];
      expect(all.filter((step, index) => all.indexOf(step) === index)).toEqual(expected);
    }
  }, 120_000);

  /** Until so many different ones are there. */
  async function readAll(topic: string, count: number): Promise<{ of: string; step: number }[]> {
    const consumer = new Kafka({ brokers: [server.url], logLevel: logLevel.NOTHING }).consumer({
      groupId: 'reader',
    });
    const values: string[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.value)) });
    await eventually(() => expect(new Set(values).size).toBe(count), 30_000);
    await consumer.disconnect();
    return values.map((value) => JSON.parse(value) as { of: string; step: number });
  }
}
