import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  DomainEvent,
  EventHandler,
  NullTransport,
  Outbox,
  RequestMediator,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { EntityManager, RequestContext } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { Injectable } from '@nestjs/common';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPaid, OrderPlaced } from '../support/orders.ts';

/** Runs what the test says, in a transaction. */
class Do extends Command {
  work!: (em: EntityManager) => Promise<void>;
}

@CommandHandler(Do)
class DoHandler {
  constructor(private readonly em: EntityManager) {}

  execute({ work }: Do): Promise<void> {
    return work(this.em);
  }
}

/** What the handlers after the commit of `OrderPlaced` do, one after another. */
class Script {
  steps: ((event: OrderPlaced, em: EntityManager) => Promise<void> | void)[] = [];
  failures: unknown[] = [];
}

@Injectable()
abstract class OnPlaced implements HandlesEvent<OrderPlaced> {
  abstract readonly index: number;

  constructor(
    private readonly em: EntityManager,
    private readonly script: Script,
  ) {}

  async handle(event: OrderPlaced): Promise<void> {
    try {
      await this.script.steps[this.index]?.(event, this.em);
    } catch (error) {
      this.script.failures.push(error);
      throw error;
    }
  }
}

@EventHandler(OrderPlaced, { phase: 'after-commit' })
class FirstOnPlaced extends OnPlaced {
  readonly index = 0;
}

@EventHandler(OrderPlaced, { phase: 'after-commit' })
class SecondOnPlaced extends OnPlaced {
  readonly index = 1;
}

/** Its handler keeps the transaction from committing. */
class Refused extends DomainEvent {}

@EventHandler(Refused)
class Refuse implements HandlesEvent<Refused> {
  handle(): void {
    throw new Error('not today');
  }
}

/** Handled by nobody. */
class Unnoticed extends DomainEvent {}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `handlers after the commit on ${name}`, () => {
    let test: TestApp;
    let outbox: Outbox;
    let orm: MikroORM;
    let script: Script;
    let log: string[];

    beforeEach(async () => {
      test = await createTestApp({
        database: name,
        options: { transport: new NullTransport() },
        providers: [DoHandler, Script, FirstOnPlaced, SecondOnPlaced, Refuse],
      });
      ({ orm } = test);
      outbox = test.app.get(Outbox);
      script = test.app.get(Script);
      log = [];
      await orm.em.fork().insertMany(Order, [
        { id: 1, status: 'new' },
        { id: 2, status: 'new' },
      ]);
    });

    afterEach(() => test.close());

    const send = (work: Do['work']) => test.app.get(RequestMediator).send(Do.of({ work }));
    const statusOf = async (id: number) => (await orm.em.fork().findOneOrFail(Order, id)).status;
    const place = async (em: EntityManager) => (await em.findOneOrFail(Order, 1)).place();
    const rows = async (): Promise<number> => {
      const connection = orm.em.fork().getConnection();
      return (await connection.execute<unknown[]>('select id from cqrs_outbox')).length;
    };
    const noteStatus = async ({ orderId }: OrderPlaced, em: EntityManager): Promise<void> => {
      log.push(`${(await em.findOneOrFail(Order, orderId)).status} ${em.isInTransaction()}`);
    };

    it('see what was committed, in a fresh context outside of the transaction', async () => {
      let inTransaction: Order | undefined;
      script.steps = [
        noteStatus,
        async (_, em) => {
          // What the handler before has loaded is not known here.
          expect(em.getUnitOfWork().getIdentityMap().keys()).toEqual([]);
          expect(await em.findOneOrFail(Order, 1)).not.toBe(inTransaction);
        },
      ];
      await send(async (em) => {
        inTransaction = await em.findOneOrFail(Order, 1);
        inTransaction.place();
        await em.flush();
      });
      expect(log).toEqual(['placed false']);
      expect(script.failures).toEqual([]);
    });

    it('are not run when the transaction was rolled back, nor for what a savepoint that was has recorded', async () => {
      script.steps = [({ orderId }) => void log.push(`placed ${orderId}`)];
      const failing = send(async (em) => {
        await place(em);
        await em.flush();
        throw new Error('on purpose');
      });
      await expect(failing).rejects.toThrow('on purpose');
      await send(async (em) => {
        await place(em);
        const savepoint = em.transactional(async (inner) => {
          (await inner.findOneOrFail(Order, 2)).place();
          await inner.flush();
          throw new Error('not this part');
        });
        await expect(savepoint).rejects.toThrow('not this part');
      });
      expect(log).toEqual(['placed 1']);
    });

    it('undo nothing when they fail, and what they leave behind is written by nobody', async () => {
      script.steps = [
        async ({ orderId }, em) => {
          (await em.findOneOrFail(Order, orderId)).status = 'half done';
          throw new Error('after the commit');
        },
        async (_, em) => em.flush(),
      ];
      await send(async (em) => {
        await place(em);
        outbox.append(OrderPaid.of({ orderId: 1, step: 0 }));
      });
      expect(script.failures).toEqual([expect.objectContaining({ message: 'after the commit' })]);
      expect(await statusOf(1)).toBe('placed');
      expect(await rows()).toBe(1);
    });

    it('open transactions of their own, by a command, by em.transactional and by a flush', async () => {
      script.steps = [
        async () => {
          const undone = send(async (em) => {
            (await em.findOneOrFail(Order, 2)).pay();
            await em.flush();
            throw new Error('alone');
          });
          await expect(undone).rejects.toThrow('alone');
          await send(async (em) => (await em.findOneOrFail(Order, 2)).pay());
          expect(() => outbox.append(OrderPaid.of({ orderId: 1, step: 0 }))).toThrow(
            /no transaction is open/,
          );
        },
        async (_, em) => {
          await em.transactional(async () => outbox.append(OrderPaid.of({ orderId: 1, step: 0 })));
          (await em.findOneOrFail(Order, 1)).pay();
          await em.flush();
        },
      ];
      await send(place);
      expect(script.failures).toEqual([]);
      expect([await statusOf(1), await statusOf(2)]).toEqual(['paid', 'paid']);
      expect(await rows()).toBe(3);
    });

    it('run after em.transactional, and after a transaction that was begun by hand on a fork', async () => {
      script.steps = [noteStatus];
      await RequestContext.create(orm.em, () => orm.em.transactional(place));
      log.push('resolved');
      const em = orm.em.fork();
      await em.begin();
      await place(em);
      await em.commit();
      expect(log).toEqual(['placed false', 'resolved', 'placed false']);
      expect(script.failures).toEqual([]);
    });

    it('do not run for a transaction begun by hand whose commit fails, which can be rolled back then', async () => {
      script.steps = [noteStatus];
      const em = orm.em.fork();
      await em.begin();
      const order = await em.findOneOrFail(Order, 1);
      order.place();
      order['record'](Refused.of());
      await expect(em.commit()).rejects.toThrow('not today');
      await em.rollback();
      expect([log, await statusOf(1)]).toEqual([[], 'new']);
      // No lock of it is left, and its connection is free again.
      await RequestContext.create(orm.em, () => orm.em.transactional(place));
      expect(log).toEqual(['placed false']);
    });

    it('run after an implicit transaction of a flush, where handlers before the commit are refused', async () => {
      script.steps = [noteStatus, () => send(async (em) => (await em.findOneOrFail(Order, 2)).pay())];
      const em = orm.em.fork();
      await place(em);
      await em.flush();
      expect(log).toEqual(['placed false']);
      expect(script.failures).toEqual([]);
      expect(await statusOf(2)).toBe('paid');
    });

    it('run for each transaction that a handler opens in its turn', async () => {
      script.steps = [
        async ({ orderId }) => {
          log.push(`placed ${orderId}`);
          if (orderId === 1) await send(async (em) => (await em.findOneOrFail(Order, 2)).place());
          log.push(`done ${orderId}`);
        },
      ];
      await send(place);
      expect(log).toEqual(['placed 1', 'placed 2', 'done 2', 'done 1']);
    });

    it('need not be there: an event that nobody handles is recorded in any transaction', async () => {
      await send(async () => outbox.append(Unnoticed.of()));
      expect(await rows()).toBe(0);
    });

    if (needs.length > 0) {
      // A database with one connection can't have two transactions open.
      it('run outside of a transaction too that is open around the one that has committed', async () => {
        script.steps = [
          async (_, em) => {
            log.push(`${em.isInTransaction()}`);
            await send(async (inner) => (await inner.findOneOrFail(Order, 2)).pay());
          },
        ];
        const failing = RequestContext.create(orm.em, () =>
          orm.em.transactional(async () => {
            const independent = orm.em.fork();
            await independent.begin();
            await place(independent);
            await independent.commit();
            throw new Error('around it');
          }),
        );
        await expect(failing).rejects.toThrow('around it');
        expect(log).toEqual(['false']);
        expect([await statusOf(1), await statusOf(2)]).toEqual(['placed', 'paid']);
      });
    }
  });
}
