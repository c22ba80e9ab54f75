import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  KafkaEventServer,
  NotificationEvent,
  Outbox,
  OutboxRelay,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { Inject } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createBroker, type Broker } from '../support/brokers.ts';
import { databaseOptions } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const MESSAGES = 60;
const KEYS = 20;
const POISON = 7;

/** Classes of one test. Its handler writes a row for each message, by which its effects are counted and told apart. */
function createDomain(topic: string) {
  @IntegrationEvent<Sent>({ name: `${topic}.sent`, topic, key: ({ step }) => `k${step % KEYS}` })
  class Sent extends NotificationEvent {
    @IsInt() step!: number;
  }
  const behaviour = { onCall: async (_step: number): Promise<void> => undefined };

  @EventHandler(Sent)
  class Write implements HandlesEvent<Sent> {
    constructor(@Inject(EntityManager) private readonly em: SqlEntityManager) {}

    async handle({ step }: Sent): Promise<void> {
      await this.em.execute('insert into effect (step) values (?)', [step]);
      await behaviour.onCall(step);
    }
  }
  return { Sent, behaviour, providers: [Write] };
}

for (const [brokerName, database] of [
  ['kafka', 'mariadb'],
  ['kafka', 'postgres'],
  ['rabbitmq', 'postgres'],
  ['rabbitmq', 'mariadb'],
] as const) {
  describeWith([brokerName, database], `batches from ${brokerName}, on ${database}`, () => {
    let topic: string;
    let broker: Broker;
    let domain: ReturnType<typeof createDomain>;
    let first: TestApp;
    const others: TestApp[] = [];

    const serverOf = (groupId: string): MicroserviceOptions =>
      brokerName === 'rabbitmq'
        ? broker.server
        : {
            strategy: new KafkaEventServer({
              client: { brokers: serviceUrl('kafka').split(','), logCreator: () => () => undefined },
              consumer: { groupId, maxWaitTimeInMs: 200, heartbeatInterval: 500 },
              subscribe: { fromBeginning: true },
              maxConcurrency: KEYS,
            }),
          };
    const start = (orm?: TestApp['ormOptions']): Promise<TestApp> =>
      createTestApp({
        database,
        options: {
          transport: broker.transport,
          consume: [topic],
          consumer: { maxAttempts: 2, minBackoffMs: 1, maxBackoffMs: 5, batch: { maxTransactions: 2 } },
        },
        providers: domain.providers,
        servers: [serverOf(`${topic}-group`)],
        orm: orm ?? databaseOptions(database),
        ownsDatabase: !orm,
        beforeInit: async (_, { em }) => {
          if (!orm) await em.getConnection().execute('create table effect (step int not null)');
        },
      });
    const publish = async (): Promise<void> => {
      const outbox = first.app.get(Outbox);
      await first.orm.em.fork().transactional(async () => {
        for (let step = 0; step < MESSAGES; step++) outbox.append(domain.Sent.of({ step }));
      });
      await first.app.get(OutboxRelay).runOnce();
    };
    const rows = (sql: string): Promise<Record<string, unknown>[]> =>
      first.orm.em.fork().getConnection().execute(sql);
    const steps = async (): Promise<number[]> =>
      (await rows('select step from effect order by step')).map(({ step }) => Number(step));

    beforeEach(async () => {
      topic = `batches${randomUUID().slice(0, 8)}`;
      domain = createDomain(topic);
      broker = await createBroker(brokerName === 'kafka' ? 'kafka-batches' : brokerName, topic);
      first = await start();
    }, 60_000);
    afterEach(async () => {
      await Promise.all(others.splice(0).map((test) => test.close()));
      await first.close();
      await broker.cleanUp();
    }, 60_000);

    it('take effect once each, beside a poison message that becomes a dead letter alone', async () => {
      domain.behaviour.onCall = async (step) => {
        if (step === POISON) throw new Error('poison');
      };
      await publish();
      const all = Array.from({ length: MESSAGES }, (_, step) => step);
      await eventually(async () => {
        const now = first.app.get(EventConsumer).counts;
        expect([now.handled, now.deadLettered]).toEqual([MESSAGES - 1, 1]);
      }, 30_000);
      expect(await steps()).toEqual(all.filter((step) => step !== POISON));
      expect(await rows('select * from cqrs_inbox')).toHaveLength(MESSAGES - 1);
      expect(await rows('select * from cqrs_inbox_dead_letter')).toHaveLength(1);
    }, 90_000);

    it('take effect once each when a consumer comes, and another goes, in the middle', async () => {
      domain.behaviour.onCall = () => new Promise((resolve) => setTimeout(resolve, 20));
      await publish();
      await eventually(async () => expect((await steps()).length).toBeGreaterThan(0), 30_000);
      const second = await start(first.ormOptions);
      const third = await start(first.ormOptions);
      others.push(third);
      await second.close();
      await eventually(async () => expect(new Set(await steps()).size).toBe(MESSAGES), 60_000);
      expect(await steps()).toHaveLength(MESSAGES);
      expect(await rows('select * from cqrs_inbox')).toHaveLength(MESSAGES);
    }, 120_000);
  });
}
