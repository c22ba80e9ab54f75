import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  ECSTEvent,
  EventConsumer,
  EventHandler,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  RequestMediator,
  type HandlesEvent,
  type MessageContext,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { Body, Controller, Post, type Type } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import type { ServiceName } from '../services/service.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { BROKERS, createBroker, type Broker, type BrokerName } from '../support/brokers.ts';
import { DATABASES, type DatabaseName } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { Order, Tally } from '../support/orders.ts';

/** HTTP -> command -> transaction -> row -> relay -> broker -> consumer -> inbox -> handler -> read model. */
const PATHS: readonly { database: DatabaseName; broker: BrokerName }[] = [
  { database: 'mariadb', broker: 'kafka' },
  { database: 'mariadb', broker: 'kafka-batches' },
  { database: 'mariadb', broker: 'rabbitmq' },
  { database: 'postgres', broker: 'kafka' },
  { database: 'postgres', broker: 'rabbitmq' },
  { database: 'libsql', broker: 'memory' },
];

function needsOf(list: readonly { name: string; needs: ServiceName[] }[], name: string): ServiceName[] {
  return list.find((entry) => entry.name === name)?.needs ?? [];
}

/** Classes of one run: each has a topic of its own, so that suites do not see each other's messages. */
function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.shipped`, topic, key: (event: Shipped) => String(event.orderId) })
  class Shipped extends NotificationEvent {
    @IsInt() orderId!: number;
    /** Names that transports use themselves must arrive unchanged. */
    key!: string;
    value!: { nested: string };
    id!: string;
    pattern!: string;
    data!: number[];
  }

  @IntegrationEvent({ name: `${topic}.state`, topic, key: (event: State) => String(event.orderId) })
  class State extends ECSTEvent {
    @IsInt() orderId!: number;
  }

  class ShipOrder extends Command<string> {
    @IsInt() orderId!: number;
    fail: boolean = false;
  }

  @CommandHandler(ShipOrder)
  class ShipOrderHandler implements RequestHandler<ShipOrder> {
    constructor(
      private readonly em: EntityManager,
      private readonly outbox: Outbox,
    ) {}

    async execute({ orderId, fail }: ShipOrder): Promise<string> {
      const order = await this.em.findOneOrFail(Order, orderId);
      order.status = 'shipped';
      this.outbox.append(
        Shipped.of({ orderId, key: 'k', value: { nested: 'ü' }, id: 'i', pattern: 'p', data: [1] }),
        { headers: { tenant: 'acme' } },
      );
      this.outbox.appendTombstone(State, String(orderId));
      if (fail) throw new Error('no stamps');
      return 'shipped';
    }
  }

  const received: { event: Shipped | null; context: MessageContext }[] = [];
  const failures = { left: 0 };

  @EventHandler(Shipped)
  class CountShipped implements HandlesEvent<Shipped> {
    constructor(private readonly em: EntityManager) {}

    async handle(event: Shipped, context: MessageContext): Promise<void> {
      const tally = await this.em.findOneOrFail(Tally, { name: 'shipped' });
      tally.count++;
      received.push({ event, context });
      if (failures.left-- > 0) throw new Error('database of the handler is away');
    }
  }

  @EventHandler(State)
  class ForgetState implements HandlesEvent<State> {
    constructor(private readonly em: EntityManager) {}

    async handle(): Promise<void> {
      throw new Error('only tombstones are sent here');
    }

    async handleTombstone(context: MessageContext): Promise<void> {
      const tally = await this.em.findOneOrFail(Tally, { name: 'tombstones' });
      tally.count++;
      received.push({ event: null, context });
    }
  }

  @Controller('orders')
  class OrdersController {
    constructor(
      private readonly requests: RequestMediator,
      private readonly consumer: EventConsumer,
    ) {}

    @Post()
    ship(@Body() body: { orderId: number; fail?: boolean }) {
      return this.requests.send(ShipOrder.of({ orderId: body.orderId, fail: body.fail ?? false }));
    }

    @EventPattern(topic)
    on(@Payload() payload: unknown, @Ctx() context: unknown) {
      return this.consumer.consume(payload, context);
    }
  }

  const providers: Type[] = [ShipOrderHandler, CountShipped, ForgetState];
  return { providers, controllers: [OrdersController], received, failures, Shipped };
}

for (const { database, broker: brokerName } of PATHS) {
  const needs = [...needsOf(DATABASES, database), ...needsOf(BROKERS, brokerName)];
  describeWith(needs, `the whole path on ${database} and ${brokerName}`, () => {
    const topic = `whole${randomUUID().slice(0, 8)}`;
    const domain = createDomain(topic);
    let broker: Broker;
    let test: TestApp;
    let url: string;

    beforeAll(async () => {
      broker = await createBroker(brokerName, topic);
      test = await createTestApp({
        database,
        options: {
          transport: broker.transport,
          relay: { minBackoffMs: 10, maxBackoffMs: 200 },
          consumer: { minBackoffMs: 10, maxBackoffMs: 50 },
        },
        providers: domain.providers,
        controllers: domain.controllers,
        servers: [broker.server],
      });
      await test.orm.em.fork().insertMany(Order, [{ id: 7, status: 'new' }]);
      await test.app.listen(0, '127.0.0.1');
      url = await test.app.getUrl();
    }, 60_000);

    afterAll(async () => {
      await test.close();
      await broker.cleanUp();
    }, 60_000);

    beforeEach(async () => {
      domain.received.length = 0;
      domain.failures.left = 0;
      const em = test.orm.em.fork();
      await em.nativeDelete(Tally, {});
      await em.insertMany(Tally, [
        { name: 'shipped', count: 0 },
        { name: 'tombstones', count: 0 },
      ]);
    });

    const ship = (fail = false) =>
      fetch(`${url}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ orderId: 7, fail }),
      });
    const count = async (name: string) => (await test.orm.em.fork().findOneOrFail(Tally, { name })).count;
    const pending = async () => {
      const [row] = await test.orm.em
        .fork()
        .getConnection()
        .execute<{ total: number | string }[]>('select count(*) as total from cqrs_outbox');
      return Number(row?.total);
    };

    it('carries an event from a request to the read model, unchanged', async () => {
      expect((await ship()).status).toBe(201);
      await eventually(async () =>
        expect([await count('shipped'), await count('tombstones')]).toEqual([1, 1]),
      );
      // RabbitMQ's consumer has several messages in hand at once, so that either may come first.
      const shipped = domain.received.find(({ event }) => event !== null);
      const tombstone = domain.received.find(({ event }) => event === null);
      expect(shipped?.event).toBeInstanceOf(domain.Shipped);
      expect(Object.fromEntries(Object.entries(shipped?.event ?? {}))).toEqual({
        orderId: 7,
        key: 'k',
        value: { nested: 'ü' },
        id: 'i',
        pattern: 'p',
        data: [1],
      });
      expect(shipped?.context).toMatchObject({
        name: `${topic}.shipped`,
        version: 1,
        source: 'tests',
        key: '7',
        headers: { tenant: 'acme' },
      });
      expect(shipped?.context.occurredAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
      expect(tombstone?.context).toMatchObject({ name: `${topic}.state`, key: '7' });
      await eventually(async () => expect(await pending()).toBe(0));
    }, 60_000);

    it('sends nothing when the handler throws after append', async () => {
      expect((await ship(true)).status).toBe(500);
      expect((await ship()).status).toBe(201);
      await eventually(async () =>
        expect([await count('shipped'), await count('tombstones')]).toEqual([1, 1]),
      );
      expect(domain.received.filter(({ event }) => event !== null)).toHaveLength(1);
    }, 60_000);

    it('delivers again what a handler could not handle, and its effect happens once', async () => {
      // More often than kafkajs tries by itself before its consumer starts anew.
      domain.failures.left = 4;
      await ship();
      await eventually(() => {
        expect(domain.received.filter(({ event }) => event !== null)).toHaveLength(5);
      }, 40_000);
      await eventually(
        async () => expect([await count('shipped'), await count('tombstones')]).toEqual([1, 1]),
        40_000,
      );
      const ids = domain.received
        .filter(({ event }) => event !== null)
        .map(({ context }) => context.messageId);
      expect(new Set(ids).size).toBe(1);
    }, 90_000);
  });
}
