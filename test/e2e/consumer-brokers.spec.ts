import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  type ConsumerOptions,
  type HandlesEvent,
  type TransportOption,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload, Transport } from '@nestjs/microservices';
import { connect } from 'amqplib';
import { IsInt } from 'class-validator';
import { Kafka, logLevel } from 'kafkajs';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createBroker, type Broker, type BrokerName } from '../support/brokers.ts';
import { createTopics } from '../support/create-topics.ts';
import { eventually } from '../support/eventually.ts';
import { Tally } from '../support/orders.ts';

const QUICK: ConsumerOptions = { maxAttempts: 3, minBackoffMs: 1, maxBackoffMs: 20 };

/** Classes of one test, on a topic of its own: of one key, so that one partition has them all. */
function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.sent`, topic, key: () => 'k' })
  class Sent extends NotificationEvent {
    @IsInt() step!: number;
  }

  const handled: number[] = [];
  const behaviour = { onCall: async (_step: number): Promise<void> => undefined };

  @EventHandler(Sent)
  class Count implements HandlesEvent<Sent> {
    constructor(private readonly em: EntityManager) {}

    async handle({ step }: Sent): Promise<void> {
      await behaviour.onCall(step);
      const tally = await this.em.findOneOrFail(Tally, { name: 'sent' });
      tally.count++;
      handled.push(step);
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

  return { Sent, handled, behaviour, providers: [Count], controllers: [MessagesController] };
}

const SERVERS = [
  { server: 'kafka', brokerName: 'kafka' },
  { server: 'kafka-batches', brokerName: 'kafka' },
  { server: 'rabbitmq', brokerName: 'rabbitmq' },
] as const satisfies { server: BrokerName; brokerName: string }[];

for (const { server, brokerName } of SERVERS) {
  describeWith([brokerName], `a consumer on ${server}`, () => {
    let topic: string;
    let domain: ReturnType<typeof createDomain>;
    let broker: Broker;
    const tests: TestApp[] = [];
    const letters: string[] = [];

    beforeEach(async () => {
      topic = `consumer${randomUUID().slice(0, 8)}`;
      domain = createDomain(topic);
      broker = await createBroker(server, topic);
    }, 60_000);
    afterEach(async () => {
      for (const test of tests.splice(0)) await test.close();
      await broker.cleanUp();
    }, 60_000);

    const open = async (consumer: ConsumerOptions, letterbox?: TransportOption): Promise<TestApp> => {
      const test = await createTestApp({
        database: 'libsql',
        options: {
          transport: letterbox ? { default: broker.transport, letters: letterbox } : broker.transport,
          relay: { minBackoffMs: 10, maxBackoffMs: 200 },
          consumer,
        },
        providers: domain.providers,
        controllers: domain.controllers,
        servers: [broker.server],
      });
      tests.push(test);
      await test.orm.em.fork().insertMany(Tally, [{ name: 'sent', count: 0 }]);
      return test;
    };
    const send = ({ app, orm }: TestApp, ...steps: number[]) =>
      orm.em.fork().transactional(async () => {
        for (const step of steps) app.get(Outbox).append(domain.Sent.of({ step }));
      });
    const setAside = ({ orm }: TestApp) =>
      orm.em
        .fork()
        .getConnection()
        .execute<Record<string, unknown>[]>('select * from cqrs_inbox_dead_letter');
    const poison = (): void => {
      domain.behaviour.onCall = async (step) => {
        if (step === 2) throw new Error('poison');
      };
    };

    it('gives up a poison message, which goes to the table, and its followers go on', async () => {
      poison();
      const test = await open(QUICK);
      await send(test, 1, 2, 3);
      await eventually(() => expect(domain.handled.toSorted()).toEqual([1, 3]), 30_000);
      await eventually(async () => expect(await setAside(test)).toHaveLength(1));
      const [letter] = await setAside(test);
      expect(letter).toMatchObject({ name: `${topic}.sent` });
      expect(letter?.['reason']).toMatch(/poison/);
      const { failedAttempts, deadLettered } = test.app.get(EventConsumer).counts;
      expect([failedAttempts, deadLettered]).toEqual([3, 1]);
    }, 90_000);

    it('commits the effects of the others when one of several is given up', async () => {
      poison();
      const test = await open(QUICK);
      await send(test, 1, 2, 3, 4);
      await eventually(() => expect(domain.handled.toSorted()).toEqual([1, 3, 4]), 30_000);
      const tally = async () => (await test.orm.em.fork().findOneOrFail(Tally, { name: 'sent' })).count;
      await eventually(async () => expect(await tally()).toBe(3));
      await eventually(async () => expect(await setAside(test)).toHaveLength(1));
    }, 90_000);

    it('gives up a poison message, which goes to a topic or queue of dead letters, and its followers go on', async () => {
      poison();
      const letterbox = await openLetterbox(brokerName, topic, letters);
      const test = await open({ ...QUICK, deadLetters: { destination: 'letters' } }, letterbox.transport);
      await send(test, 1, 2, 3);
      await eventually(() => expect(domain.handled.toSorted()).toEqual([1, 3]), 30_000);
      await eventually(() => expect(letters).toEqual([JSON.stringify({ step: 2 })]), 30_000);
      expect(letterbox.headers()).toMatchObject({ ce_type: `${topic}.sent`, 'x-dead-letter-attempts': '3' });
      expect(await setAside(test)).toEqual([]);
      await letterbox.close();
    }, 90_000);
  });
}

/** A topic, or a durable queue, of dead letters, and what has arrived there. */
async function openLetterbox(brokerName: 'kafka' | 'rabbitmq', topic: string, letters: string[]) {
  letters.length = 0;
  let headers: Record<string, unknown> = {};
  const name = `${topic}.dead-letters`;
  const url = serviceUrl(brokerName);
  if (brokerName === 'kafka') {
    const client = { brokers: url.split(','), logLevel: logLevel.NOTHING };
    const kafka = new Kafka(client);
    const admin = kafka.admin();
    await admin.connect();
    await createTopics(admin, { topic: name });
    const consumer = kafka.consumer({ groupId: randomUUID() });
    await consumer.subscribe({ topic: name, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([k, v]) => [k, String(v)]));
        letters.push(String(message.value));
      },
    });
    const close = async (): Promise<void> => {
      await consumer.disconnect();
      await admin.deleteTopics({ topics: [name] });
      await admin.disconnect();
    };
    return {
      transport: { transport: Transport.KAFKA, options: { client } } as const,
      headers: () => headers,
      close,
    };
  }
  const connection = await connect(url);
  const channel = await connection.createChannel();
  await channel.assertQueue(name, { durable: true });
  await channel.consume(name, (message) => {
    if (!message) return;
    headers = message.properties.headers ?? {};
    const { data } = JSON.parse(String(message.content)) as { data: unknown };
    letters.push(JSON.stringify(data));
  });
  const close = async (): Promise<void> => {
    await channel.deleteQueue(name);
    await connection.close();
  };
  const options = { urls: [url], queue: name, queueOptions: { durable: true } };
  return { transport: { transport: Transport.RMQ, options } as const, headers: () => headers, close };
}
