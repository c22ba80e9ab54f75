import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { IntegrationEvent, NotificationEvent, Outbox, OutboxRelay, type Message } from '@cqrs-outbox/core';
import type { ClosableTransport } from '@cqrs-outbox/testing';
import { ClientRMQ, Transport, type RmqOptions } from '@nestjs/microservices';
import { connect, type Channel, type ChannelModel } from 'amqplib';
import { openTransport } from '../contracts/module-transport.ts';
import { TcpProxy } from '../faults/proxy/tcp-proxy.ts';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import * as rabbitmq from '../services/rabbitmq.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer } from '../services/service.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/eventually.ts';
import { messageOf } from '../support/message.ts';

const MAX_MESSAGE_BYTES = 20_000;
const LARGE = 'x'.repeat(MAX_MESSAGE_BYTES);

@IntegrationEvent({ name: 'tests.texts', topic: 'texts', key: (event: Text) => event.of })
class Text extends NotificationEvent {
  of!: string;
  step!: number;
  text!: string;
}

describeWith(['rabbitmq'], 'a message that is larger than RabbitMQ takes', () => {
  const queue = `oversize-${randomUUID().slice(0, 8)}`;
  let directory: RunDirectory;
  let server: RunningServer;
  let connection: ChannelModel;
  let channel: Channel;
  let test: TestApp;
  let opened: ClosableTransport;

  beforeAll(async () => {
    directory = createRunDirectory();
    server = await rabbitmq.start(directory.path, undefined, { maxMessageBytes: MAX_MESSAGE_BYTES });
    connection = await connect(server.url);
    channel = await connection.createChannel();
  }, 60_000);
  afterAll(async () => {
    await connection.close();
    await server.stop();
    directory.remove();
  }, 60_000);

  beforeEach(async () => {
    await channel.assertQueue(queue, { durable: true });
    const options = { urls: [server.url], queue, queueOptions: { durable: true } };
    const transport = { transport: Transport.RMQ as const, options };
    test = await createTestApp({ database: 'libsql', options: { transport, relay: { maxAttempts: 1_000 } } });
    opened = await openTransport(transport);
  }, 60_000);
  afterEach(async () => {
    await test.close();
    await opened.close();
    await channel.deleteQueue(queue);
  }, 60_000);

  const append = (...events: Text[]) =>
    test.orm.em.fork().transactional(async () => {
      for (const event of events) test.app.get(Outbox).append(event);
    });
  const rows = (sql: string): Promise<Record<string, unknown>[]> =>
    test.orm.em.fork().getConnection().execute(sql);
  const taken = async () => {
    const arrived: { of: string; step: number }[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) return arrived;
      arrived.push((JSON.parse(String(message.content)) as { data: { of: string; step: number } }).data);
    }
  };

  it('becomes a dead letter at once, and all others go on in the order of their keys', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const events = [0, 1, 2, 3].flatMap((step) => keys.map((of) => Text.of({ of, step, text: '' })));
    const isTooLarge = ({ of, step }: { of: string; step: number }) =>
      (of === 'b' && step === 1) || (of === 'd' && step === 0) || (of === 'e' && step === 3);
    for (const event of events) if (isTooLarge(event)) event.text = LARGE;
    await append(...events);
    await eventually(async () => expect(await rows('select id from cqrs_outbox')).toEqual([]), 20_000);
    expect(test.app.get(OutboxRelay).health()[0]?.state).toBe('up');
    const letters = await rows(
      'select message_key, attempts, last_error from cqrs_outbox_dead_letter order by message_key',
    );
    expect(letters.map((letter) => letter['message_key'])).toEqual(['b', 'd', 'e']);
    for (const letter of letters) {
      expect(letter['attempts']).toBe(1);
      expect(letter['last_error']).toMatch(/takes 20000 bytes at most/);
    }
    const arrived = await taken();
    for (const key of keys) {
      const all = arrived.filter(({ of }) => of === key).map(({ step }) => step);
      const expected = [0, 1, 2, 3].filter((step) => !isTooLarge({ of: key, step }));
      expect(all.filter((step, index) => all.indexOf(step) === index)).toEqual(expected);
    }
  }, 60_000);

  it('is told from those that were in flight with it', async () => {
    const messages = [message('a', 10), message('b', MAX_MESSAGE_BYTES), message('c', 10), message('b', 10)];
    const results = await opened.transport.publish(messages);
    expect(results.map(({ status }) => status)).toEqual(['published', 'refused', 'published', 'held']);
    expect(results[1]).toMatchObject({ permanent: true });
  }, 60_000);

  it('keeps nothing back that comes later, up to the limit', async () => {
    await opened.transport.publish([message('a', MAX_MESSAGE_BYTES)]);
    const head = `{"pattern":"${messageOf().name}","data":}`.length;
    const [exact, over] = await opened.transport.publish([
      message('a', MAX_MESSAGE_BYTES - head),
      message('b', MAX_MESSAGE_BYTES - head + 1),
    ]);
    expect([exact?.status, over?.status]).toEqual(['published', 'refused']);
  }, 60_000);

  it('is not sent again, nor others for it, when the lease runs out', async () => {
    let isHeld = false;
    const options = { mayStart: () => !isHeld };
    const publishing = opened.transport.publish([message('a', MAX_MESSAGE_BYTES), message('b', 10)], options);
    isHeld = true;
    const results = await publishing;
    expect(results[0]?.status).toBe('held');
    expect(['held', 'published']).toContain(results[1]?.status);
  }, 60_000);
});

describeWith(['rabbitmq'], 'a channel of RabbitMQ', () => {
  it('that is being opened while the connection breaks ends nothing, and is opened again', async () => {
    const queue = `channel-${randomUUID().slice(0, 8)}`;
    const url = new URL(serviceUrl('rabbitmq'));
    const proxy = new TcpProxy(Number(url.port || 5672));
    url.port = String(await proxy.listen());
    const clients: ClientRMQ[] = [];
    class ObservedClient extends ClientRMQ {
      constructor(options: NonNullable<RmqOptions['options']>) {
        super(options);
        clients.push(this);
      }
    }
    const opened = await openTransport(
      {
        customClass: ObservedClient as never,
        options: {
          urls: [String(url)],
          queue,
          queueOptions: { autoDelete: true, expires: 60_000 },
          socketOptions: { reconnectTimeInSeconds: 1 },
        },
      },
      2_000,
    );
    try {
      await clients[0]?.connect();
      proxy.stall();
      const publishing = opened.transport.publish([message('a', 10)]);
      // The request for the channel is on its way now.
      await new Promise((resolve) => setImmediate(resolve));
      proxy.cut();
      expect((await publishing)[0]?.status).toBe('unavailable');
      proxy.resume();
      await eventually(async () => {
        expect((await opened.transport.publish([message('a', 10)]))[0]?.status).toBe('published');
      }, 20_000);
    } finally {
      await opened.close();
      await proxy.close();
    }
  }, 60_000);
});

/** With a payload of so many bytes. */
function message(key: string, bytes: number): Message {
  return messageOf({ key, payload: Buffer.from(JSON.stringify('x'.repeat(bytes - 2))) });
}
