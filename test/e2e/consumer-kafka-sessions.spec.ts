import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload, Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { Kafka, logLevel } from 'kafkajs';
import { IsInt } from 'class-validator';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { databaseOptions, type DatabaseOptions } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { Tally } from '../support/orders.ts';

const SESSION_MS = 6_000;
const LONG_MS = 15_000;

describeWith(['kafka', 'mariadb'], 'a handler that runs for longer than its Kafka session', () => {
  const topic = `sessions${randomUUID().slice(0, 8)}`;
  const groupId = `group-${topic}`;
  const client = { brokers: [''], logLevel: logLevel.NOTHING };
  const tests: TestApp[] = [];
  const calls: { instance: number; step: number }[] = [];
  let orm: DatabaseOptions;
  let onCall: (instance: number, step: number) => Promise<void>;

  @IntegrationEvent({ name: `${topic}.sent`, topic, key: (event: Sent) => String(event.step) })
  class Sent extends NotificationEvent {
    @IsInt() step!: number;
  }

  const open = async (instance: number): Promise<TestApp> => {
    @EventHandler(Sent, { name: 'Count' })
    class Count implements HandlesEvent<Sent> {
      constructor(private readonly em: EntityManager) {}

      async handle({ step }: Sent): Promise<void> {
        calls.push({ instance, step });
        await onCall(instance, step);
        await this.em.insertMany(Tally, [{ name: `step ${step} ${randomUUID()}`, count: 1 }]);
      }
    }

    @Controller()
    class MessagesController {
      constructor(private readonly consumer: EventConsumer) {}

      @EventPattern(topic)
      on(@Payload() payload: unknown, @Ctx() context: unknown) {
        return this.consumer.consume(payload, context);
      }
    }
    const retry = { initialRetryTime: 100, retries: 2 };
    const consumer = {
      groupId,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: 60_000,
      heartbeatInterval: 1_000,
      retry,
    };
    const server: MicroserviceOptions = {
      transport: Transport.KAFKA,
      options: { client, consumer, subscribe: { fromBeginning: true } },
    };
    const test = await createTestApp({
      database: 'mariadb',
      orm,
      ownsDatabase: instance === 1,
      options: {
        transport: { transport: Transport.KAFKA, options: { client } },
        relay: instance === 1 ? { minBackoffMs: 10, maxBackoffMs: 200 } : false,
        consumer: { minBackoffMs: 1, maxBackoffMs: 20 },
      },
      providers: [Count],
      controllers: [MessagesController],
      servers: [server],
    });
    tests.push(test);
    return test;
  };

  beforeEach(async () => {
    client.brokers = serviceUrl('kafka').split(',');
    orm = databaseOptions('mariadb');
    calls.length = 0;
    const admin = new Kafka(client).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
    await admin.disconnect();
  }, 60_000);
  afterEach(async () => {
    for (const test of tests.splice(0).reverse()) await test.close();
  }, 60_000);

  const send = ({ app, orm: { em } }: TestApp, ...steps: number[]) =>
    em.fork().transactional(async () => {
      for (const step of steps) app.get(Outbox).append(Sent.of({ step }));
    });
  const effects = async ({ orm: { em } }: TestApp): Promise<number[]> => {
    const tallies = await em.fork().find(Tally, { name: { $like: 'step %' } });
    return tallies.map(({ name }) => Number(name.split(' ')[1])).sort((a, b) => a - b);
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  it('stays in its group by heartbeats, and is run once', async () => {
    onCall = async (_, step) => (step === 1 ? sleep(LONG_MS) : undefined);
    const first = await open(1);
    await send(first, 1, 2, 3, 4, 5, 6);
    await eventually(async () => expect(await effects(first)).toEqual([1, 2, 3, 4, 5, 6]), 60_000);
    expect(calls.map(({ step }) => step).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    await eventually(() => {
      const expected = { received: 6, handled: 6, duplicates: 0, givenBack: 0 };
      expect(first.app.get(EventConsumer).counts).toMatchObject(expected);
    });
  }, 120_000);

  it('while the group is divided anew has one effect, and nothing is lost', async () => {
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    onCall = (instance, step) => (instance === 1 && step === 1 ? finished : Promise.resolve());
    const first = await open(1);
    await send(first, 1);
    await eventually(() => expect(calls).toHaveLength(1), 30_000);
    // Joins, and waits for the first one to do so too, which is at work.
    const joining = open(2);
    await sleep(2 * SESSION_MS);
    finish();
    const second = await joining;
    await send(first, 2, 3, 4, 5, 6, 7, 8);
    await eventually(async () => expect(await effects(first)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]), 60_000);
    await eventually(() => expect(new Set(calls.map(({ instance }) => instance))).toEqual(new Set([1, 2])));
    await sleep(1_000);
    expect(await effects(second)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  }, 120_000);
});
