import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  CommandHandler,
  Command,
  EventHandler,
  NoActiveUnitOfWorkError,
  Outbox,
  Query,
  QueryHandler,
  RequestMediator,
  UnitOfWorkRolledBackError,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { NullTransport } from '@cqrs-outbox/core';
import { EntityManager, RequestContext } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { Transactional } from '@mikro-orm/decorators/legacy';
import { Injectable } from '@nestjs/common';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPaid, OrderPlaced, OrderState } from '../support/orders.ts';

class PayOrder extends Command<string> {
  orderId!: number;
  fail: boolean = false;
}

@CommandHandler(PayOrder)
class PayOrderHandler implements RequestHandler<PayOrder> {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async execute({ orderId, fail }: PayOrder): Promise<string> {
    const order = await this.em.findOneOrFail(Order, orderId);
    order.pay();
    this.outbox.append(OrderState.of({ orderId, status: order.status }));
    if (fail) throw new Error('card declined');
    return order.status;
  }
}

/** Sends `PayOrder` from inside itself. */
class PayTwo extends Command {
  first!: PayOrder;
  second!: PayOrder;
  catchSecond: boolean = false;
}

@CommandHandler(PayTwo)
class PayTwoHandler implements RequestHandler<PayTwo> {
  constructor(private readonly requests: RequestMediator) {}

  async execute({ first, second, catchSecond }: PayTwo): Promise<void> {
    await this.requests.send(first);
    const sent = this.requests.send(second);
    await (catchSecond ? sent.catch(() => undefined) : sent);
  }
}

class CountOrders extends Query<{ status: string; sameManager: boolean }> {
  orderId!: number;
  append: boolean = false;
}

@QueryHandler(CountOrders)
class CountOrdersHandler implements RequestHandler<CountOrders> {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async execute({ orderId, append }: CountOrders) {
    if (append) this.outbox.append(OrderPaid.of({ orderId, step: 1 }));
    const order = await this.em.findOneOrFail(Order, orderId);
    return { status: order.status, sameManager: this.em.isInTransaction() };
  }
}

class PayAndAsk extends Command<{ status: string }> {
  orderId!: number;
  append: boolean = false;
}

@CommandHandler(PayAndAsk)
class PayAndAskHandler implements RequestHandler<PayAndAsk> {
  constructor(
    private readonly em: EntityManager,
    private readonly requests: RequestMediator,
  ) {}

  async execute({ orderId, append }: PayAndAsk) {
    const order = await this.em.findOneOrFail(Order, orderId);
    order.status = 'asked';
    await this.em.flush();
    return this.requests.send(CountOrders.of({ orderId, append }));
  }
}

class AskAndPay extends Query<string> {
  orderId!: number;
}

@QueryHandler(AskAndPay)
class AskAndPayHandler implements RequestHandler<AskAndPay> {
  constructor(private readonly requests: RequestMediator) {}

  execute({ orderId }: AskAndPay): Promise<string> {
    return this.requests.send(PayOrder.of({ orderId, fail: false }));
  }
}

class PayThroughQuery extends Command<string> {
  orderId!: number;
}

@CommandHandler(PayThroughQuery)
class PayThroughQueryHandler implements RequestHandler<PayThroughQuery> {
  constructor(private readonly requests: RequestMediator) {}

  execute({ orderId }: PayThroughQuery): Promise<string> {
    return this.requests.send(AskAndPay.of({ orderId }));
  }
}

@EventHandler(OrderPlaced)
class OnOrderPlaced {
  static failing = false;

  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async handle({ orderId }: OrderPlaced): Promise<void> {
    if (OnOrderPlaced.failing) throw new Error('no stock');
    const order = await this.em.findOneOrFail(Order, orderId);
    order.status += '!';
    this.outbox.append(OrderState.of({ orderId, status: order.status }));
  }
}

@Injectable()
class OrderService {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  @Transactional()
  async pay(orderId: number): Promise<void> {
    const order = await this.em.findOneOrFail(Order, orderId);
    order.pay();
    this.outbox.append(OrderPaid.of({ orderId, step: 9 }));
  }
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `transactions on ${name}`, () => {
    let test: TestApp;
    let outbox: Outbox;
    let requests: RequestMediator;
    let orm: MikroORM;

    beforeEach(async () => {
      OnOrderPlaced.failing = false;
      test = await createTestApp({
        database: name,
        options: { transport: new NullTransport() },
        providers: [
          PayOrderHandler,
          PayTwoHandler,
          CountOrdersHandler,
          PayAndAskHandler,
          AskAndPayHandler,
          PayThroughQueryHandler,
          OnOrderPlaced,
          OrderService,
        ],
      });
      ({ orm } = test);
      outbox = test.app.get(Outbox);
      requests = test.app.get(RequestMediator);
      await orm.em.fork().insertMany(Order, [
        { id: 1, status: 'new' },
        { id: 2, status: 'new' },
      ]);
    });

    afterEach(() => test.close());

    const rows = async (): Promise<{ name: string; orderId?: number; step?: number; status?: string }[]> => {
      const found = await orm.em
        .fork()
        .getConnection()
        .execute<{ name: string; payload: Buffer }[]>('select name, payload from cqrs_outbox order by id');
      return found.map((row) => ({
        name: row.name,
        ...(JSON.parse(Buffer.from(row.payload).toString()) as object),
      }));
    };
    const statusOf = async (id: number) => (await orm.em.fork().findOneOrFail(Order, id)).status;

    it('commits the rows of a command with its changes', async () => {
      await expect(requests.send(PayOrder.of({ orderId: 1, fail: false }))).resolves.toBe('paid');
      expect(await statusOf(1)).toBe('paid');
      expect(await rows()).toEqual([
        { name: 'orders.state', orderId: 1, status: 'paid' },
        { name: 'orders.paid', orderId: 1, step: 0 },
      ]);
    });

    it('rolls back the rows of a command that throws after append', async () => {
      await expect(requests.send(PayOrder.of({ orderId: 1, fail: true }))).rejects.toThrow('card declined');
      expect(await statusOf(1)).toBe('new');
      expect(await rows()).toEqual([]);
    });

    it('joins a command that is sent from inside a command', async () => {
      const pay = (orderId: number, fail = false) => PayOrder.of({ orderId, fail });
      await requests.send(PayTwo.of({ first: pay(1), second: pay(2), catchSecond: false }));
      expect(await rows()).toHaveLength(4);
      expect([await statusOf(1), await statusOf(2)]).toEqual(['paid', 'paid']);
    });

    it('rolls back all that has joined when one of it fails', async () => {
      const second = PayOrder.of({ orderId: 2, fail: true });
      const first = PayOrder.of({ orderId: 1, fail: false });
      await expect(requests.send(PayTwo.of({ first, second, catchSecond: false }))).rejects.toThrow(
        'card declined',
      );
      expect(await rows()).toEqual([]);
      expect(await statusOf(1)).toBe('new');
    });

    it('does not commit when the error of a joined command was caught', async () => {
      const second = PayOrder.of({ orderId: 2, fail: true });
      const first = PayOrder.of({ orderId: 1, fail: false });
      const sent = requests.send(PayTwo.of({ first, second, catchSecond: true }));
      await expect(sent).rejects.toBeInstanceOf(UnitOfWorkRolledBackError);
      await expect(sent).rejects.toMatchObject({
        code: 'UNIT_OF_WORK_ROLLED_BACK',
        cause: { message: 'card declined' },
      });
      expect(await rows()).toEqual([]);
    });

    it('does not commit the half of a command whose error was caught in a transaction of the user', async () => {
      const work = orm.em.fork().transactional(async (em) => {
        (await em.findOneOrFail(Order, 2)).status = 'seen';
        await requests.send(PayOrder.of({ orderId: 1, fail: true })).catch(() => undefined);
      });
      await expect(work).rejects.toBeInstanceOf(UnitOfWorkRolledBackError);
      expect([await statusOf(1), await statusOf(2)]).toEqual(['new', 'new']);
      expect(await rows()).toEqual([]);
    });

    it('commits what is around a savepoint that was rolled back with the command in it', async () => {
      await orm.em.fork().transactional(async (em) => {
        (await em.findOneOrFail(Order, 2)).status = 'seen';
        await em
          .transactional(() => requests.send(PayOrder.of({ orderId: 1, fail: true })))
          .catch(() => undefined);
        outbox.append(OrderPaid.of({ orderId: 2, step: 1 }));
      });
      expect([await statusOf(1), await statusOf(2)]).toEqual(['new', 'seen']);
      expect(await rows()).toEqual([{ name: 'orders.paid', orderId: 2, step: 1 }]);
    });

    it('refuses an append by work that goes on after the end of its transaction', async () => {
      let proceed: () => void = () => undefined;
      const end = new Promise<void>((resolve) => (proceed = resolve));
      let straggler: Promise<unknown> | undefined;
      await orm.em.fork().transactional(async () => {
        outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
        straggler = end.then(async () => {
          expect(() => outbox.append(OrderPaid.of({ orderId: 1, step: 2 }))).toThrow(NoActiveUnitOfWorkError);
          // A command of such work has a transaction of its own.
          await requests.send(PayOrder.of({ orderId: 2, fail: false }));
        });
      });
      proceed();
      await straggler;
      expect(await statusOf(2)).toBe('paid');
      expect((await rows()).map(({ orderId }) => orderId)).toEqual([1, 2, 2]);
    });

    it('handles domain events inside a transaction that was begun by hand on a fork', async () => {
      await RequestContext.create(orm.em, async () => {
        const em = orm.em.fork();
        await em.begin();
        (await em.findOneOrFail(Order, 1)).place();
        await em.commit();
      });
      expect(await statusOf(1)).toBe('placed!');
      expect(await rows()).toEqual([{ name: 'orders.state', orderId: 1, status: 'placed!' }]);
    });

    it('runs a query outside of any transaction, and inside a command on its uncommitted state', async () => {
      await expect(requests.send(CountOrders.of({ orderId: 1, append: false }))).resolves.toEqual({
        status: 'new',
        sameManager: false,
      });
      await expect(requests.send(PayAndAsk.of({ orderId: 1, append: false }))).resolves.toMatchObject({
        status: 'asked',
      });
    });

    it('refuses an append in a query, alone and inside a command', async () => {
      const query = CountOrders.of({ orderId: 1, append: true });
      await expect(requests.send(query)).rejects.toBeInstanceOf(NoActiveUnitOfWorkError);
      await expect(requests.send(PayAndAsk.of({ orderId: 1, append: true }))).rejects.toMatchObject({
        code: 'NO_ACTIVE_UNIT_OF_WORK',
      });
      expect(await rows()).toEqual([]);
    });

    it('refuses a command that a query sends inside a transaction, whose changes would be lost', async () => {
      const sent = requests.send(PayThroughQuery.of({ orderId: 1 }));
      await expect(sent).rejects.toMatchObject({ code: 'NO_ACTIVE_UNIT_OF_WORK' });
      await expect(sent).rejects.toThrow(
        /PayOrder can't be run: it was sent by a query inside a transaction/,
      );
      await expect(requests.send(AskAndPay.of({ orderId: 1 }))).resolves.toBe('paid');
      expect(await statusOf(1)).toBe('paid');
    });

    it('refuses an append outside of a transaction', async () => {
      expect(() => outbox.append(OrderPaid.of({ orderId: 1, step: 0 }))).toThrow(NoActiveUnitOfWorkError);
      await RequestContext.create(orm.em, async () => {
        expect(() => outbox.append(OrderPaid.of({ orderId: 1, step: 0 }))).toThrow(NoActiveUnitOfWorkError);
      });
    });

    it('works in em.transactional and with @Transactional', async () => {
      await orm.em.fork().transactional(async (em) => {
        await em.findOneOrFail(Order, 1);
        outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
      });
      await RequestContext.create(orm.em, () => test.app.get(OrderService).pay(2));
      expect(await rows()).toEqual([
        { name: 'orders.paid', orderId: 1, step: 1 },
        { name: 'orders.paid', orderId: 2, step: 9 },
        { name: 'orders.paid', orderId: 2, step: 0 },
      ]);
      expect(await statusOf(2)).toBe('paid');
    });

    it('works in a transaction that was begun by hand in the current context', async () => {
      await RequestContext.create(orm.em, async () => {
        await orm.em.begin();
        outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
        await orm.em.commit();
        await orm.em.begin();
        outbox.append(OrderPaid.of({ orderId: 1, step: 2 }));
        await orm.em.rollback();
      });
      expect(await rows()).toEqual([{ name: 'orders.paid', orderId: 1, step: 1 }]);
    });

    it('collects what aggregates recorded in an implicit transaction of a flush', async () => {
      const em = orm.em.fork();
      (await em.findOneOrFail(Order, 1)).pay(3);
      await em.flush();
      expect(await rows()).toEqual([{ name: 'orders.paid', orderId: 1, step: 3 }]);
    });

    it('says so when a domain event is recorded where its handlers could change nothing', async () => {
      const em = orm.em.fork();
      (await em.findOneOrFail(Order, 1)).place();
      await expect(em.flush()).rejects.toMatchObject({ code: 'DOMAIN_EVENT_OUTSIDE_TRANSACTION' });
      expect(await statusOf(1)).toBe('new');
    });

    it('collects what a deleted aggregate recorded', async () => {
      await orm.em.fork().transactional(async (em) => {
        const order = await em.findOneOrFail(Order, 1);
        order.pay(4);
        em.remove(order);
      });
      expect(await rows()).toEqual([{ name: 'orders.paid', orderId: 1, step: 4 }]);
    });

    it('keeps what was appended before and after a savepoint that is rolled back, and drops its own', async () => {
      await orm.em.fork().transactional(async (em) => {
        const order = await em.findOneOrFail(Order, 1);
        outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
        order.pay(2);
        await em
          .transactional(async () => {
            outbox.append(OrderPaid.of({ orderId: 1, step: 3 }));
            order.pay(4);
            throw new Error('not this part');
          })
          .catch(() => undefined);
        await em.transactional(async () => outbox.append(OrderPaid.of({ orderId: 1, step: 5 })));
        outbox.append(OrderPaid.of({ orderId: 1, step: 6 }));
      });
      expect((await rows()).map(({ step }) => step)).toEqual([1, 2, 5, 6]);
    });

    it('drops a released savepoint with the transaction around it', async () => {
      const work = orm.em.fork().transactional(async (em) => {
        await em.transactional(async () => outbox.append(OrderPaid.of({ orderId: 1, step: 1 })));
        throw new Error('all of it');
      });
      await expect(work).rejects.toThrow('all of it');
      expect(await rows()).toEqual([]);
    });

    it('handles domain events in the transaction, and writes what their handlers did', async () => {
      await orm.em.fork().transactional(async (em) => (await em.findOneOrFail(Order, 1)).place());
      expect(await statusOf(1)).toBe('placed!');
      expect(await rows()).toEqual([{ name: 'orders.state', orderId: 1, status: 'placed!' }]);
    });

    it('rolls back when the handler of a domain event fails', async () => {
      OnOrderPlaced.failing = true;
      const work = orm.em.fork().transactional(async (em) => (await em.findOneOrFail(Order, 1)).place());
      await expect(work).rejects.toThrow('no stock');
      expect(await statusOf(1)).toBe('new');
      expect(await rows()).toEqual([]);
    });

    it('inserts all rows by one statement, as the last before COMMIT', async () => {
      const statements: string[] = [];
      const connection = orm.em.getConnection() as unknown as { getClient(): { getExecutor(): unknown } };
      expect(connection).toBeDefined();
      const em = orm.em.fork();
      await em.transactional(async (inner) => {
        const transaction = inner.getTransactionContext<{
          getExecutor(): { executeQuery: (query: { sql: string }) => unknown };
        }>()!;
        const executor = transaction.getExecutor();
        const original = executor.executeQuery.bind(executor);
        executor.executeQuery = (query) => {
          statements.push(query.sql);
          return original(query);
        };
        for (let step = 0; step < 20; step++) outbox.append(OrderPaid.of({ orderId: 1, step }));
        const order = await inner.findOneOrFail(Order, 1);
        order.status = 'changed';
      });
      expect(await rows()).toHaveLength(20);
      const inserts = statements.filter((statement) => /insert into .?cqrs_outbox/.test(statement));
      expect(inserts).toHaveLength(1);
      expect(statements.indexOf(inserts[0]!)).toBeGreaterThan(
        statements.findIndex((statement) => /^update/.test(statement)),
      );
    });
  });
}
