import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from '@jest/globals';
import { INBOX_CHANNELS, NonRetryableError } from '@cqrs-outbox/core';
import { KafkaRetriableException } from '@nestjs/microservices';
import { eventually } from '../support/eventually.ts';
import {
  createCrateApp,
  crateHeaders,
  inMemory,
  onKafka,
  onRabbitMq,
  PAYLOAD,
  QUICK,
  RecordingChannel,
  type CrateApp,
} from './consumer-fixture.ts';

/** A wait that no test can sit out: only what ends it ends it. */
const LONG = { maxAttempts: 3, minBackoffMs: 2 ** 30, maxBackoffMs: 2 ** 30 };

describe('the tries of a consumer', () => {
  let test: CrateApp;
  let isClosed = false;

  const open = async (consumer: object = QUICK): Promise<void> => {
    isClosed = false;
    test = await createCrateApp({ database: 'libsql' }, { consumer });
  };
  const close = async (): Promise<void> => {
    if (!isClosed) await test.close();
    isClosed = true;
  };
  afterEach(close);

  const failing = (times = Infinity): void => {
    test.behaviour.onCall = async (call, _, event) => {
      event.crateId = -1;
      if (call <= times) throw new Error('the scales are broken');
    };
  };

  it('are made where the message is, each with the event as it came, and leave one effect', async () => {
    await open();
    failing(2);
    await test.consumer.consume(PAYLOAD, onKafka());
    expect([test.behaviour.calls, await test.crates()]).toEqual([3, 1]);
    expect(new Set(test.behaviour.events).size).toBe(3);
    expect(test.consumer.counts).toMatchObject({
      received: 1,
      handled: 1,
      failedAttempts: 2,
      deadLettered: 0,
    });
  });

  it('end after maxAttempts in a dead letter with reason and attempts, and what follows goes on', async () => {
    await open();
    failing(3);
    const channel = new RecordingChannel();
    await test.consumer.consume(PAYLOAD, onRabbitMq(channel));
    await test.consumer.consume(PAYLOAD, onRabbitMq(channel));
    expect(channel.told).toEqual(['ack', 'ack']);
    expect([test.behaviour.calls, await test.crates()]).toEqual([4, 1]);
    const [letter, ...rest] = await test.letters();
    expect(rest).toEqual([]);
    expect(letter).toMatchObject({ name: 'crates.packed', coordinates: 'rabbitmq crates/crates.packed#1' });
    expect(letter?.['reason']).toMatch(/CountCrates: the scales are broken/);
    expect(test.consumer.counts).toMatchObject({
      received: 2,
      handled: 1,
      failedAttempts: 3,
      deadLettered: 1,
    });
  });

  it('end at once for a NonRetryableError', async () => {
    await open(LONG);
    test.behaviour.onCall = async () => {
      throw new NonRetryableError('no such crate');
    };
    await test.consumer.consume(PAYLOAD, onKafka());
    expect([test.behaviour.calls, await test.crates(), (await test.letters()).length]).toEqual([1, 0, 1]);
  });

  it("are the relay's matter on the in-memory transport", async () => {
    await open();
    failing();
    await expect(test.consumer.consume(PAYLOAD, inMemory())).rejects.toMatchObject({
      code: 'EVENT_HANDLING',
    });
    expect([test.behaviour.calls, await test.letters()]).toEqual([1, []]);
  });

  it('count a duplicate, and acknowledge it', async () => {
    await open();
    const headers = crateHeaders();
    const channel = new RecordingChannel();
    await test.consumer.consume(PAYLOAD, onRabbitMq(channel, headers));
    await test.consumer.consume(PAYLOAD, onRabbitMq(channel, headers));
    expect(channel.told).toEqual(['ack', 'ack']);
    expect(test.consumer.counts).toMatchObject({ received: 2, handled: 1, duplicates: 1 });
    expect(await test.crates()).toBe(1);
  });

  it('are told on the channels', async () => {
    await open();
    const told: [string, object][] = [];
    const subscriptions = Object.entries(INBOX_CHANNELS).map(([key, { name }]) => {
      const listener = (message: unknown): void => void told.push([key, message as object]);
      subscribe(name, listener);
      return () => unsubscribe(name, listener);
    });
    failing(4);
    const headers = crateHeaders();
    await test.consumer.consume(PAYLOAD, onKafka());
    await test.consumer.consume(PAYLOAD, onKafka(headers));
    await test.consumer.consume(PAYLOAD, onKafka(headers));
    await test.consumer.consume(PAYLOAD, onKafka(crateHeaders({ ce_type: 'crates.lost' })));
    for (const end of subscriptions) end();
    expect(told.map(([key]) => key)).toEqual([
      ...['received', 'failed', 'failed', 'failed', 'deadLettered'],
      ...['received', 'failed', 'handled'],
      ...['received', 'duplicate', 'received', 'unknown'],
    ]);
    expect(told[3]?.[1]).toMatchObject({ source: 'tests', attempts: 3, name: 'crates.packed', key: 'k' });
    expect(told[4]?.[1]).toMatchObject({ attempts: 3, storedIn: 'table', coordinates: 'kafka crates[3]@42' });
    expect(told[7]?.[1]).toMatchObject({ messageId: headers['ce_id'], durationMs: expect.any(Number) });
  });

  describe('at shutdown', () => {
    it('end on Kafka in the exception that keeps the offset', async () => {
      await open(LONG);
      failing();
      const consumed = test.consumer.consume(PAYLOAD, onKafka());
      const ended = expect(consumed).rejects.toBeInstanceOf(KafkaRetriableException);
      await eventually(() => expect(test.consumer.counts.failedAttempts).toBe(1));
      await close();
      await ended;
      expect(test.consumer.counts).toMatchObject({ givenBack: 1, deadLettered: 0 });
    });

    it('end on RabbitMQ in a requeue, and what comes after that stays unacknowledged', async () => {
      await open(LONG);
      failing();
      const channel = new RecordingChannel();
      const consumed = test.consumer.consume(PAYLOAD, onRabbitMq(channel));
      await eventually(() => expect(test.consumer.counts.failedAttempts).toBe(1));
      await test.consumer.onModuleDestroy();
      await consumed;
      expect(channel.told).toEqual(['nack false true']);
      await test.consumer.consume(PAYLOAD, onRabbitMq(channel));
      expect(channel.told).toEqual(['nack false true']);
    });

    it('wait for a handler that is at work, whose message is then acknowledged', async () => {
      await open(LONG);
      let finish: () => void = () => undefined;
      test.behaviour.onCall = () => new Promise((resolve) => (finish = resolve));
      const channel = new RecordingChannel();
      const consumed = test.consumer.consume(PAYLOAD, onRabbitMq(channel));
      await eventually(() => expect(test.behaviour.calls).toBe(1));
      const destroyed = test.consumer.onModuleDestroy();
      finish();
      await Promise.all([destroyed, consumed]);
      expect(channel.told).toEqual(['ack']);
      expect(await test.crates()).toBe(1);
    });
  });

  describe('when the broker takes the message away', () => {
    it('end on Kafka, by a heartbeat that fails, for the new owner of the partition', async () => {
      await open(LONG);
      failing();
      const beat = async (): Promise<void> => {
        throw new Error('The group is rebalancing');
      };
      const consumed = test.consumer.consume(PAYLOAD, onKafka(crateHeaders(), beat));
      await expect(consumed).rejects.toBeInstanceOf(KafkaRetriableException);
      expect([test.behaviour.calls, test.consumer.counts.givenBack]).toEqual([1, 1]);
    });

    it('let a handler finish on Kafka, whose heartbeat fails meanwhile', async () => {
      await open(LONG);
      let finish: () => void = () => undefined;
      test.behaviour.onCall = () => new Promise((resolve) => (finish = resolve));
      const beat = async (): Promise<void> => {
        finish();
        throw new Error('The group is rebalancing');
      };
      await test.consumer.consume(PAYLOAD, onKafka(crateHeaders(), beat));
      expect([await test.crates(), test.consumer.counts.handled]).toEqual([1, 1]);
    });

    it('end on RabbitMQ when the channel closes, and nothing is told to it', async () => {
      await open(LONG);
      failing();
      const channel = new RecordingChannel();
      const consumed = test.consumer.consume(PAYLOAD, onRabbitMq(channel));
      await eventually(() => expect(test.consumer.counts.failedAttempts).toBe(1));
      channel.close();
      await consumed;
      expect([channel.told, test.consumer.counts.givenBack]).toEqual([[], 1]);
    });

    it('are counted on when it comes again, so that it is given up all the same', async () => {
      await open({ ...LONG, maxAttempts: 2 });
      failing();
      const headers = crateHeaders();
      const channel = new RecordingChannel();
      const consumed = test.consumer.consume(PAYLOAD, onRabbitMq(channel, headers));
      await eventually(() => expect(test.consumer.counts.failedAttempts).toBe(1));
      channel.close();
      await consumed;
      const next = new RecordingChannel();
      await test.consumer.consume(PAYLOAD, onRabbitMq(next, headers));
      expect([next.told, (await test.letters()).length]).toEqual([['ack'], 1]);
    });
  });
});
