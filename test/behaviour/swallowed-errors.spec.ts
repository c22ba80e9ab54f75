import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  Outbox,
  RequestMediator,
  UnitOfWorkRolledBackError,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import type { DatabaseConnection } from 'kysely';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { OrderPaid, Tally } from '../support/orders.ts';
import { createCrateApp, onKafka, PAYLOAD, type CrateApp } from './consumer-fixture.ts';

interface Tables {
  tally: { name: string; count: number };
}

/** What a command's handler does, and whether it appends an event. */
class Work {
  hasEvent = true;
  run: (em: EntityManager) => Promise<void> = async () => undefined;
}

class CountOrder extends Command {}

@CommandHandler(CountOrder)
class CountOrderHandler implements RequestHandler<CountOrder> {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
    private readonly work: Work,
  ) {}

  async execute(): Promise<void> {
    await this.em.insertMany(Tally, [{ name: 'ordered', count: 1 }]);
    if (this.work.hasEvent) this.outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
    await this.work.run(this.em);
  }
}

const sqlOf = (em: EntityManager): SqlEntityManager => em as SqlEntityManager;

/** Each inserts a row that is there already. */
const WAYS: Record<string, (em: EntityManager) => Promise<unknown>> = {
  'the entity manager': (em) => em.insertMany(Tally, [{ name: 'crates', count: 9 }]),
  'a flush': async (em) => {
    const fork = em.fork({ keepTransactionContext: true });
    await fork.persist(fork.create(Tally, { name: 'crates', count: 9 })).flush();
  },
  'the query builder': (em) =>
    sqlOf(em).createQueryBuilder(Tally).insert({ name: 'crates', count: 9 }).execute(),
  Kysely: (em) =>
    sqlOf(em).getKysely<Tables>().insertInto('tally').values({ name: 'crates', count: 9 }).execute(),
  SQL: (em) => sqlOf(em).execute(`insert into tally (name, count) values ('crates', 9)`),
};

/** How the work of a transaction may go on after its end. */
const LATE_WAYS: Record<string, (em: EntityManager, name: string) => Promise<unknown>> = {
  'the entity manager': (em, name) => em.insertMany(Tally, [{ name, count: 1 }]),
  Kysely: (em, name) =>
    sqlOf(em).getKysely<Tables>().insertInto('tally').values({ name, count: 1 }).execute(),
  'a nested transaction': (em, name) =>
    em.transactional((nested) => nested.insertMany(Tally, [{ name, count: 1 }])),
};

/** More of them than the end of a transaction takes. */
const MICROTASKS = 40;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `an error of the database that its handler catches, on ${name}`, () => {
    let test: CrateApp;
    const work = new Work();

    beforeEach(async () => {
      work.run = async () => undefined;
      work.hasEvent = true;
      test = await createCrateApp({ database: name }, {}, [
        { provide: Work, useValue: work },
        CountOrderHandler,
      ]);
    });
    afterEach(() => test.close());

    const rows = async (table: string): Promise<number> => {
      const select = `select count(*) as total from ${table}`;
      const [row] = await test.orm.em.fork().getConnection().execute<{ total: number | string }[]>(select);
      return Number(row?.total);
    };
    const tallies = async (): Promise<string[]> => {
      const all = await test.orm.em.fork().find(Tally, {}, { orderBy: { name: 'asc' } });
      return all.map((tally) => `${tally.name} ${tally.count}`);
    };
    /** All that the pool may have. */
    const connections = async (): Promise<DatabaseConnection[]> => {
      const executor = sqlOf(test.orm.em.fork()).getKysely<Tables>().getExecutor();
      const found: DatabaseConnection[] = [];
      const size = name === 'libsql' ? 1 : 10;
      const { promise: all, resolve } = Promise.withResolvers<undefined>();
      const hold = () =>
        executor.provideConnection(async (connection) => {
          if (found.push(connection) === size) resolve(undefined);
          await all;
        });
      await Promise.all(Array.from({ length: size }, hold));
      return found;
    };
    const send = (): Promise<void> => test.app.get(RequestMediator).send(CountOrder.of());
    /** Only PostgreSQL ends the transaction for any error. */
    const isFatal = name === 'postgres';

    it.each(Object.keys(WAYS))('of a statement by %s, leaves one effect', async (way) => {
      let caught = 0;
      test.behaviour.onCall = async (call, em) => {
        if (call > 1) return;
        await WAYS[way]!(em).catch(() => caught++);
      };
      await test.consumer.consume(PAYLOAD, onKafka());
      expect([caught, await tallies(), await rows('cqrs_inbox')]).toEqual([1, ['crates 1'], 1]);
      const failedAttempts = isFatal ? 1 : 0;
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts, deadLettered: 0 });
    });

    it('is the cause of what the command rejects with, when nothing could be committed', async () => {
      work.run = async (em) => {
        await WAYS['SQL']!(em).catch(() => undefined);
      };
      const error: unknown = await send().catch((reason: unknown) => reason);
      const committed = [await rows('tally'), await rows('cqrs_outbox')];
      if (!isFatal) {
        expect([error, ...committed]).toEqual([undefined, 2, 1]);
        return;
      }
      expect(error).toBeInstanceOf(UnitOfWorkRolledBackError);
      expect(error).toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK', cause: { code: '23505' } });
      expect(committed).toEqual([1, 0]);
      work.run = async () => undefined;
      await send();
      expect([await rows('tally'), await rows('cqrs_outbox')]).toEqual([2, 1]);
    });

    it('of a statement that nobody waits for, counts as well', async () => {
      // Nothing else follows it.
      work.hasEvent = false;
      work.run = async (em) => {
        void WAYS['SQL']!(em).catch(() => undefined);
      };
      const error: unknown = await send().catch((reason: unknown) => reason);
      if (isFatal) expect(error).toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
      else expect(error).toBeUndefined();
      expect(await rows('tally')).toBe(isFatal ? 1 : 2);
    });

    it.each(['commit', 'rollback'])('is what a %s by hand gets, which is not sent', async (end) => {
      let refusal: unknown;
      work.run = async (em) => {
        await em.insertMany(Tally, [{ name: 'half', count: 1 }]);
        refusal = await sqlOf(em)
          .execute(end)
          .catch((error: unknown) => error);
        throw refusal as Error;
      };
      await expect(send()).rejects.toThrow(`${end} is not sent`);
      expect([await tallies(), await rows('cqrs_outbox')]).toEqual([['crates 0'], 0]);
      work.run = async () => undefined;
      await send();
      expect(await rows('cqrs_outbox')).toBe(1);
    });

    it.each(['one after another', 'all at once'])(
      'rolls back with it what the work has left running, %s',
      async (how) => {
        let late: Promise<unknown> = Promise.resolve();
        work.run = async (em) => {
          // What is told to the work's own entity manager is not told to this one.
          const fork = em.fork({ keepTransactionContext: true });
          const insert = (index: number) => fork.insertMany(Tally, [{ name: `late ${index}`, count: 1 }]);
          const numbers = Array.from({ length: 20 }, (_, index) => index);
          late =
            how === 'all at once'
              ? Promise.allSettled(numbers.map(insert))
              : (async () => {
                  for (const number of numbers) await insert(number);
                })().catch(() => undefined);
          await Promise.resolve();
          throw new Error('the work fails');
        };
        await expect(send()).rejects.toThrow('the work fails');
        await late;
        expect(await tallies()).toEqual(['crates 0']);
        await test.consumer.consume(PAYLOAD, onKafka());
        expect(await tallies()).toEqual(['crates 1']);
      },
    );

    it.each(
      ['commit', 'rollback'].flatMap((end) => Object.keys(LATE_WAYS).map((way) => [end, way] as const)),
    )('lets nothing through that comes behind %s by %s, however soon', async (end, way) => {
      let onEnd = async (): Promise<unknown> => undefined;
      // Below what guards them.
      for (const connection of await connections()) {
        const { executeQuery } = connection;
        connection.executeQuery = async (...args) => {
          const result = await executeQuery.apply(connection, args);
          if (args[0].sql === end) void onEnd();
          return result as never;
        };
      }
      work.hasEvent = false;
      const late: Promise<unknown>[] = [];
      for (let delay = 0; delay < MICROTASKS; delay++) {
        work.run = async (em) => {
          const fork = em.fork({ keepTransactionContext: true });
          onEnd = async () => {
            onEnd = async () => undefined;
            for (let microtask = 0; microtask < delay; microtask++) await Promise.resolve();
            late.push(LATE_WAYS[way]!(fork, `late ${delay}`).catch(() => undefined));
          };
          if (end === 'rollback') throw new Error('the work fails');
        };
        await send().catch((error: unknown) => expect(String(error)).toContain('the work fails'));
        await sqlOf(test.orm.em.fork()).execute(`delete from tally where name = 'ordered'`);
      }
      expect(late).toHaveLength(MICROTASKS);
      await Promise.all(late);
      expect(await tallies()).toEqual(['crates 0']);
    });

    it('around a savepoint of its own, undoes that alone', async () => {
      work.run = async (em) => {
        const inSavepoint = em.transactional(async (inner) => {
          await inner.insertMany(Tally, [{ name: 'inner', count: 1 }]);
          await WAYS['SQL']!(inner);
        });
        await inSavepoint.catch(() => undefined);
        await em.insertMany(Tally, [{ name: 'after', count: 1 }]);
      };
      await send();
      expect(await tallies()).toEqual(['after 1', 'crates 0', 'ordered 1']);
      expect(await rows('cqrs_outbox')).toBe(1);
    });

    it('around a savepoint that is refused for it, undoes that alone', async () => {
      work.run = async (em) => {
        const inSavepoint = em.transactional(async (inner) => {
          await WAYS['SQL']!(inner).catch(() => undefined);
          await inner.transactional((innermost) => innermost.insertMany(Tally, [{ name: 'in', count: 1 }]));
        });
        await inSavepoint.catch(() => undefined);
      };
      await send();
      expect(await tallies()).toEqual(['crates 0', ...(isFatal ? [] : ['in 1']), 'ordered 1']);
    });

    it.each(['writes more', 'ends'])(
      'is no reason to lose a part of a nested transaction that is left running, and %s later: none of it commits',
      async (how) => {
        let end: () => void = () => undefined;
        const ended = new Promise<void>((resolve) => (end = resolve));
        let nested: Promise<unknown> | undefined;
        work.run = async (em) => {
          await new Promise<void>((begun) => {
            nested = em.transactional(async (inner) => {
              await inner.insertMany(Tally, [{ name: 'half', count: 1 }]);
              begun();
              await ended;
              if (how === 'writes more') await inner.insertMany(Tally, [{ name: 'rest', count: 1 }]);
            });
            nested.catch(() => undefined);
          });
        };
        await expect(send()).rejects.toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
        end();
        await expect(nested).rejects.toThrow('done too late');
        expect(await tallies()).toEqual(['crates 0']);
        expect(await rows('cqrs_outbox')).toBe(0);
      },
    );

    it('in a transaction of the user, lets nothing through of a nested one that is left running', async () => {
      let end: () => void = () => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      let nested: Promise<unknown> = Promise.resolve();
      await test.orm.em.fork().transactional(async (em) => {
        await new Promise<void>((begun) => {
          nested = em.transactional(async (inner) => {
            begun();
            await ended;
            await inner.insertMany(Tally, [{ name: 'late', count: 1 }]);
          });
          nested.catch(() => undefined);
        });
      });
      end();
      await expect(nested).rejects.toThrow('done too late');
      expect(await tallies()).toEqual(['crates 0']);
    });

    /** A nested transaction that fails while one inside of it goes on. */
    const failAround = async (
      em: EntityManager,
      how: 'writes more' | 'ends',
    ): Promise<PromiseSettledResult<void>> => {
      let end: () => void = () => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      let nested: Promise<void> = Promise.resolve();
      const around = em.transactional(async (middle) => {
        await new Promise<void>((begun) => {
          nested = middle.transactional(async (inner) => {
            await inner.insertMany(Tally, [{ name: 'half', count: 1 }]);
            const fork = inner.fork({ keepTransactionContext: true });
            begun();
            await ended;
            if (how === 'writes more') await fork.insertMany(Tally, [{ name: 'rest', count: 1 }]);
          });
          nested.catch(() => undefined);
        });
        throw new Error('it fails');
      });
      await expect(around).rejects.toThrow('it fails');
      end();
      const [outcome] = await Promise.allSettled([nested]);
      return outcome;
    };
    const tooLate = { status: 'rejected', reason: { message: expect.stringContaining('done too late') } };

    it.each(['writes more', 'ends'] as const)(
      'of a nested transaction ends one inside of it that is left running, and %s later: none of it commits',
      async (how) => {
        let outcome: unknown;
        work.run = async (em) => {
          outcome = await failAround(em, how);
        };
        await expect(send()).rejects.toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
        expect(outcome).toMatchObject(tooLate);
        expect(await tallies()).toEqual(['crates 0']);
        expect(await rows('cqrs_outbox')).toBe(0);
      },
    );

    it.each(['writes more', 'ends'] as const)(
      'of a nested transaction of the user ends one inside of it that is left running, and %s later',
      async (how) => {
        let outcome: unknown;
        await test.orm.em.fork().transactional(async (em) => {
          outcome = await failAround(em, how);
          await em.insertMany(Tally, [{ name: 'after', count: 1 }]);
        });
        expect(outcome).toMatchObject(tooLate);
        expect(await tallies()).toEqual(['after 1', 'crates 0']);
      },
    );

    it('of a nested transaction lets nothing through of what that has left running', async () => {
      let late: Promise<unknown> = Promise.resolve();
      work.run = async (em) => {
        const nested = em.transactional(async (inner) => {
          const fork = inner.fork({ keepTransactionContext: true });
          late = (async () => {
            for (let number = 0; number < 20; number++)
              await fork.insertMany(Tally, [{ name: `late ${number}`, count: 1 }]);
          })();
          late.catch(() => undefined);
          await Promise.resolve();
          throw new Error('it fails');
        });
        await expect(nested).rejects.toThrow('it fails');
        await expect(late).rejects.toThrow('done too late');
      };
      await send();
      expect(await tallies()).toEqual(['crates 0', 'ordered 1']);
      expect(await rows('cqrs_outbox')).toBe(1);
    });

    it('of a nested transaction leaves its entity manager to read on, in the one around', async () => {
      let nested: EntityManager | undefined;
      let seen: number | undefined;
      work.run = async (em) => {
        const failing = em.transactional(async (inner) => {
          nested = inner;
          await inner.insertMany(Tally, [{ name: 'undone', count: 1 }]);
          throw new Error('it fails');
        });
        await expect(failing).rejects.toThrow('it fails');
        seen = await nested?.count(Tally);
        await expect(nested?.insertMany(Tally, [{ name: 'late', count: 1 }])).rejects.toThrow(
          'done too late',
        );
      };
      await send();
      // Its own, which nobody else sees yet, and that of before.
      expect(seen).toBe(2);
      expect(await tallies()).toEqual(['crates 0', 'ordered 1']);
      await expect(nested?.count(Tally)).rejects.toThrow('done too late');
    });

    it('in a transaction of the user, changes nothing for the next of its connection', async () => {
      const em = test.orm.em.fork();
      await em.transactional((inner) => WAYS['SQL']!(inner).catch(() => undefined));
      for (let count = 0; count < 12; count++) await test.consumer.consume(PAYLOAD, onKafka());
      expect(test.consumer.counts).toMatchObject({ handled: 12, deadLettered: 0 });
      expect(await tallies()).toEqual(['crates 12']);
    });

    if (name === 'libsql') {
      it('that has ended the transaction lets nothing through after it', async () => {
        const outcomes: string[] = [];
        test.behaviour.onCall = async (call, em) => {
          if (call > 1) return;
          const ending = `insert or rollback into tally (name, count) values ('crates', 9)`;
          for (const statement of [ending, `insert into tally (name, count) values ('late', 1)`])
            await sqlOf(em)
              .execute(statement)
              .then(
                () => outcomes.push('done'),
                () => outcomes.push('refused'),
              );
        };
        await test.consumer.consume(PAYLOAD, onKafka());
        expect(outcomes).toEqual(['refused', 'refused']);
        expect([await tallies(), await rows('cqrs_inbox')]).toEqual([['crates 1'], 1]);
        expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 1 });
      });
    }

    if (name !== 'mariadb') return;

    /** Makes `em` the victim of a deadlock: InnoDB takes the one that has changed fewer rows. */
    const deadlock = async (em: EntityManager): Promise<unknown> => {
      const other = test.orm.em.fork();
      await other.begin();
      try {
        const many = Array.from({ length: 50 }, (_, index) => ({ name: `other ${index}`, count: 1 }));
        await other.insertMany(Tally, many);
        await other.nativeUpdate(Tally, { name: 'second' }, { count: 5 });
        await em.nativeUpdate(Tally, { name: 'first' }, { count: 7 });
        const locked = other.nativeUpdate(Tally, { name: 'first' }, { count: 5 });
        const [mine] = await Promise.allSettled([
          em.nativeUpdate(Tally, { name: 'second' }, { count: 7 }),
          locked,
        ]);
        return mine.status === 'rejected' ? mine.reason : undefined;
      } finally {
        await other.rollback();
      }
    };

    it.each(['alone', 'in a savepoint'])(
      'of a deadlock %s has no effect, nor what follows it',
      async (where) => {
        await test.orm.em.fork().insertMany(
          Tally,
          ['first', 'second'].map((row) => ({ name: row, count: 0 })),
        );
        const outcomes: string[] = [];
        test.behaviour.onCall = async (call, em) => {
          if (call > 1) return;
          const victim = (inner: EntityManager): Promise<void> =>
            deadlock(inner).then((error) => {
              outcomes.push(String((error as { errno?: number } | undefined)?.errno));
              if (where !== 'alone') throw error;
            });
          await (where === 'alone' ? victim(em) : em.transactional(victim)).catch(() => undefined);
          await em.insertMany(Tally, [{ name: 'late', count: 1 }]).then(
            () => outcomes.push('done'),
            () => outcomes.push('refused'),
          );
        };
        await test.consumer.consume(PAYLOAD, onKafka());
        expect(outcomes).toEqual(['1213', 'refused']);
        expect([await tallies(), await rows('cqrs_inbox')]).toEqual([['crates 1', 'first 0', 'second 0'], 1]);
        expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 1 });
      },
    );

    it('of a wait for a lock, which undoes its statement alone, commits the rest', async () => {
      await test.orm.em.fork().insertMany(Tally, [{ name: 'first', count: 0 }]);
      const holder = test.orm.em.fork();
      await holder.begin();
      await holder.nativeUpdate(Tally, { name: 'first' }, { count: 5 });
      const outcomes: string[] = [];
      test.behaviour.onCall = async (_, em) => {
        await sqlOf(em).execute('set innodb_lock_wait_timeout = 1');
        await em.nativeUpdate(Tally, { name: 'first' }, { count: 7 }).catch((error: unknown) => {
          outcomes.push(String((error as { errno?: number }).errno));
        });
        await em.insertMany(Tally, [{ name: 'after', count: 1 }]);
      };
      await test.consumer.consume(PAYLOAD, onKafka());
      await holder.rollback();
      expect(outcomes).toEqual(['1205']);
      expect(await tallies()).toEqual(['after 1', 'crates 1', 'first 0']);
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 0 });
    });
  });
}
