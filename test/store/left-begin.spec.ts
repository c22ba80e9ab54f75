import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NullTransport, Outbox, UnitOfWork } from '@cqrs-outbox/core';
import { EntityManager, type EventSubscriber, type TransactionEventArgs } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery, type ControlledTransaction, type Kysely } from 'kysely';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { databaseOptions, DATABASES, END_OWN_CONNECTION } from '../support/database.ts';
import { OrderPaid, Tally } from '../support/orders.ts';
import { kindOf } from '../support/statement-kind.ts';

/** What connections of mysql2 and pg have in common. */
interface Client {
  query: (...args: unknown[]) => unknown;
  release(): void;
}

/** Fails statements on their way to the server. */
class Interceptor {
  static async attach({ orm }: TestApp): Promise<Interceptor> {
    const interceptor = new Interceptor();
    const connection = orm.em.getConnection() as unknown as {
      getNativeClient(): Promise<{ on(event: 'acquire', listener: (client: Client) => void): void }>;
    };
    const known = new WeakSet<object>();
    (await connection.getNativeClient()).on('acquire', (client) => {
      interceptor.acquired.push(client);
      if (known.has(client)) return;
      known.add(client);
      const send = client.query.bind(client);
      client.query = (...args) => (interceptor.refuses(args[0]) ? refuse(args) : send(...args));
    });
    return interceptor;
  }

  /** Oldest first, as often as they were. */
  readonly acquired: Client[] = [];
  /** What the next statements must look like to fail, once each. */
  readonly failing: RegExp[] = [];

  private refuses(statement: unknown): boolean {
    const text = typeof statement === 'string' ? statement : (statement as { sql: string }).sql;
    if (!this.failing[0]?.test(text)) return false;
    this.failing.shift();
    return true;
  }
}

/** As mysql2 does it by a callback, or pg by a promise; so late that others can be sent meanwhile. */
function refuse(args: unknown[]): unknown {
  const error = new Error('refused on its way');
  const callback = args.at(-1);
  const refusal = sleep(REFUSAL_MS).then(() => Promise.reject(error));
  if (typeof callback !== 'function') return refusal;
  refusal.catch(callback as (reason: Error) => void);
  return undefined;
}

const REFUSAL_MS = 40;

/** What MikroORM tells of transactions. */
class Told implements EventSubscriber {
  readonly events: string[] = [];
  beforeTransactionStart = this.tell('before start');
  afterTransactionStart = this.tell('after start');
  beforeTransactionCommit = this.tell('before commit');
  afterTransactionCommit = this.tell('after commit');
  beforeTransactionRollback = this.tell('before rollback');
  afterTransactionRollback = this.tell('after rollback');
  beforeFlush = this.tell('before flush');
  onFlush = this.tell('on flush');
  afterFlush = this.tell('after flush');

  private tell(what: string) {
    return ({ em, transaction }: Pick<TransactionEventArgs, 'em' | 'transaction'>): void => {
      this.events.push(
        `${what} ${transaction ? 'in' : 'outside'} ${em.isInTransaction() ? 'in' : 'outside'}`,
      );
    };
  }
}

for (const { name, needs } of DATABASES.filter((database) => database.name !== 'libsql')) {
  describeWith(needs, `BEGIN of a unit of work without a context around it, on ${name}`, () => {
    let test: TestApp;
    let counter: StatementCounter;
    let interceptor: Interceptor;

    beforeEach(async () => {
      test = await createTestApp({
        database: name,
        options: { transport: new NullTransport() },
        orm: {
          ...databaseOptions(name),
          pool: { max: 2 },
        } as never,
        ownsDatabase: true,
      });
      interceptor = await Interceptor.attach(test);
      counter = await StatementCounter.attach(test.orm);
      await tallies();
      counter.take();
    });
    afterEach(() => test.close());

    const run = <T>(work: (em: SqlEntityManager) => Promise<T>): Promise<T> =>
      test.app.get(UnitOfWork).runInTransaction(() => work(test.app.get<SqlEntityManager>(EntityManager)));
    const insert = (em: SqlEntityManager, tally: string) =>
      em.execute(`insert into tally (name, count) values ('${tally}', 1)`);
    const tallies = async (): Promise<string[]> => {
      const rows = await test.orm.em.fork().find(Tally, {}, { orderBy: { name: 'asc' } });
      return rows.map((row) => row.name);
    };
    const fails = async (work: (em: SqlEntityManager) => Promise<unknown>): Promise<void> => {
      const failing = run(async (em) => {
        await work(em);
        throw new Error('rolled back');
      });
      await expect(failing).rejects.toThrow('rolled back');
    };
    const SELECT = 'select tally';

    it.each<[string, (transaction: ControlledTransaction<object>) => Kysely<object>]>([
      ['the transaction', (transaction) => transaction],
      ['a Kysely derived from it', (transaction) => transaction.withSchema('')],
    ])(
      'is not sent where nothing else is, and nothing is let through from then on by %s',
      async (_, derive) => {
        const em = test.app.get<SqlEntityManager>(EntityManager);
        let kysely: Kysely<object> | undefined;
        const insertLate = (name: string): Promise<unknown> =>
          kysely!.executeQuery(CompiledQuery.raw(`insert into tally (name, count) values ('${name}', 1)`));
        const committed: string[] = [];
        for (const isFailing of [false, true]) {
          // At each moment of the end.
          for (let turns = 0; turns < 40; turns += 1) {
            let late: Promise<unknown> | undefined;
            const work = async (): Promise<void> => {
              kysely = derive(em.getTransactionContext<ControlledTransaction<object>>()!);
              late = (async () => {
                for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
                await insertLate(`late ${isFailing} ${turns}`);
              })().catch((error: unknown) => error);
              if (isFailing) throw new Error('rolled back');
            };
            await test.app
              .get(UnitOfWork)
              .runInTransaction(work)
              .catch(() => undefined);
            await late;
            const statements = counter.take();
            if (statements.length === 0) continue;
            const kinds = statements.map(kindOf);
            // When the work fails while BEGIN is on its way, the INSERT is refused behind it.
            if (isFailing && kinds.length === 2) kinds.splice(1, 0, 'insert tally');
            expect(kinds).toEqual(['begin', 'insert tally', isFailing ? 'rollback' : 'commit']);
            if (!isFailing) committed.push(`late ${isFailing} ${turns}`);
          }
        }
        await expect(insertLate('late')).rejects.toThrow(/already|has ended/);
        expect((await tallies()).toSorted()).toEqual(committed.toSorted());
        expect(committed.length).toBeGreaterThan(0);
        expect(committed.length).toBeLessThan(40);
      },
    );

    it.each(['commit', 'ROLLBACK WORK;'])(
      'is not ended by hand, by %s, and costs no connection',
      async (end) => {
        for (let turn = 0; turn < 3; turn += 1) {
          const working = run(async (em) => {
            await insert(em, 'half');
            await em.execute(end);
          });
          await expect(working).rejects.toThrow(`${end} is not sent`);
        }
        await run((em) => insert(em, 'whole'));
        expect(await tallies()).toEqual(['whole']);
      },
    );

    it.each(['commit', 'rollback'] as const)(
      'ends nothing of another by a late %s of a derived Kysely',
      async (end) => {
        const em = test.app.get<SqlEntityManager>(EntityManager);
        let derived: ControlledTransaction<object> | undefined;
        await run(async () => {
          derived = em.getTransactionContext<ControlledTransaction<object>>()!.withSchema('');
          await insert(em, 'a');
        });
        await fails(async () => {
          await insert(em, 'b');
          const ending = derived!
            [end]()
            .execute()
            .catch((error: unknown) => String(error));
          expect(await ending).toEqual(end === 'commit' ? expect.stringContaining('has ended') : undefined);
          await insert(em, 'c');
        });
        expect(await tallies()).toEqual(['a']);
      },
    );

    it('is sent before a first statement whose result is read', async () => {
      await run((em) => em.find(Tally, {}));
      expect(counter.take().map(kindOf)).toEqual(['begin', SELECT, 'commit']);
    });

    it('is sent before events that are all there is', async () => {
      await run(async () => test.app.get(Outbox).append(OrderPaid.of({ orderId: 1, step: 1 })));
      expect(counter.take().map(kindOf)).toEqual(['begin', 'insert cqrs_outbox', 'commit']);
    });

    it.each<[string, (em: SqlEntityManager) => Promise<unknown>]>([
      ['statements at the same time', (em) => Promise.all([insert(em, 'a'), insert(em, 'b')])],
      [
        'a stream',
        async (em) => {
          for await (const row of em
            .getKysely<{ tally: { name: string } }>()
            .selectFrom('tally')
            .select('name')
            .stream())
            expect(row).toBeUndefined();
          await insert(em, 'a');
        },
      ],
      ['a nested transaction', (em) => em.transactional((inner) => insert(inner, 'a'))],
      ['a flush', async (em) => em.persist(em.create(Tally, { name: 'a', count: 1 })).flush()],
    ])('is sent once, and comes first, where the first are %s', async (_, work) => {
      await fails(work);
      expect(await tallies()).toEqual([]);
      counter.take();
      await run(work);
      const [first, ...others] = counter.take();
      expect(first).toBe('start transaction');
      expect(others.filter((statement) => /^(begin|start)/.test(statement))).toEqual([]);
      expect(await tallies()).toContain('a');
    });

    it('lets nothing through when it fails', async () => {
      interceptor.failing.push(/^start transaction$/);
      const failing = run(async (em) => {
        await expect(insert(em, 'first')).rejects.toThrow('refused on its way');
        await expect(insert(em, 'second')).rejects.toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
      });
      await expect(failing).rejects.toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
      expect(await tallies()).toEqual([]);
      await run((em) => insert(em, 'third'));
      expect(await tallies()).toEqual(['third']);
    });

    it('lets nothing through that was sent while it was on its way, when it fails', async () => {
      interceptor.failing.push(/^start transaction$/);
      const failing = run(async (em) => {
        // Savepoints do not wait for their turn.
        const nested = em.transactional(() => Promise.resolve());
        await sleep(REFUSAL_MS / 4);
        const inserted = insert(em, 'outside');
        await Promise.allSettled([nested, inserted]);
      });
      await expect(failing).rejects.toMatchObject({ code: 'UNIT_OF_WORK_ROLLED_BACK' });
      expect(await tallies()).toEqual([]);
    });

    it.each([
      ['first, and writes at once', false, 0],
      ['first, and writes later', false, 50],
      ['behind a statement, and writes at once', true, 0],
      ['behind a statement, and writes later', true, 50],
    ])(
      'and its end leave nothing to a nested transaction that is left running: %s',
      async (_, hasStatement, delayMs) => {
        for (const isInContext of [false, true]) {
          let late: Promise<unknown> | undefined;
          const unitOfWork = test.app.get(UnitOfWork);
          const failing = () =>
            run(async (em) => {
              if (hasStatement) await em.execute('select 1');
              late = em.transactional(async (inner) => {
                if (delayMs > 0) await sleep(delayMs);
                await insert(inner, 'late');
              });
              late.catch(() => undefined);
              // The savepoint is on its way.
              for (let turn = 0; turn < 6; turn += 1) await Promise.resolve();
              throw new Error('the work fails');
            });
          const failed = isInContext ? unitOfWork.runInContext(failing) : failing();
          await expect(failed).rejects.toThrow('the work fails');
          await expect(late).rejects.toThrow();
          expect(await tallies()).toEqual([]);
        }
      },
    );

    it('does not hide from the statement behind it that the time is over', async () => {
      await test.orm.em.fork().insert(Tally, { name: 'locked', count: 1 });
      const holder = test.orm.em.fork();
      await holder.begin();
      await holder.execute(`update tally set count = 2 where name = 'locked'`);
      const abort = new AbortController();
      const em = test.app.get<SqlEntityManager>(EntityManager);
      const work = async (): Promise<void> => {
        const update = em.execute(`update tally set count = 3 where name = 'locked'`);
        for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
        setImmediate(() => abort.abort(new Error('the time is over')));
        await update;
      };
      const failing = test.app.get(UnitOfWork).runInTransaction(work, { signal: abort.signal });
      await expect(failing).rejects.toThrow('the time is over');
      await holder.commit();
    });

    it('gives a connection back whose ROLLBACK succeeds at the second time', async () => {
      interceptor.failing.push(/^rollback$/);
      await fails((em) => insert(em, 'a'));
      let waiting = 0;
      await Promise.all(
        ['b', 'c'].map((tally) =>
          run(async (em) => {
            await insert(em, tally);
            // Both have a connection.
            for (waiting += 1; waiting < 2;) await sleep(1);
          }),
        ),
      );
      expect(await tallies()).toEqual(['b', 'c']);
    });

    it('keeps a connection from its pool whose ROLLBACK has failed, but that may live', async () => {
      interceptor.failing.push(/^rollback$/, /^rollback$/);
      await fails((em) => insert(em, 'a'));
      const kept = interceptor.acquired.at(-1)!;
      // All that is left to others is the second connection.
      await Promise.all([1, 2, 3].map((index) => run((em) => insert(em, `b${index}`))));
      expect(await tallies()).toEqual(['b1', 'b2', 'b3']);
      const others = interceptor.acquired.slice(interceptor.acquired.lastIndexOf(kept) + 1);
      expect(others.length).toBeGreaterThan(0);
      expect(others.includes(kept)).toBe(false);
      kept.release();
    });

    it('gives one back that is lost, however often', async () => {
      for (let time = 0; time < 3; time += 1) {
        await fails(async (em) => {
          await insert(em, 'a');
          await em
            .execute(END_OWN_CONNECTION[name as keyof typeof END_OWN_CONNECTION])
            .catch(() => undefined);
        });
      }
      expect(await tallies()).toEqual([]);
      await run((em) => insert(em, 'b'));
      expect(await tallies()).toEqual(['b']);
    });

    it('is told to subscribers and the log as that of em.transactional is', async () => {
      const told = new Told();
      test.orm.em.getEventManager().registerSubscriber(told);
      const linesOf = async (work: () => Promise<unknown>): Promise<unknown[]> => {
        const logged: string[] = [];
        const logger = test.orm.config.getLogger();
        logger.logQuery = ({ query = '' }) => logged.push(query);
        await work();
        return [...told.events.splice(0), ...logged.map((query) => query.split(' ')[0])];
      };
      const work = async (em: EntityManager): Promise<unknown> => em.find(Tally, {});
      const ours = await linesOf(() => run(work));
      expect(ours).toContain('begin');
      expect(ours).toEqual(await linesOf(() => test.orm.em.fork().transactional(work)));
      const fail = async (): Promise<never> => Promise.reject(new Error('rolled back'));
      const ourRollback = await linesOf(() => run(fail).catch(() => undefined));
      expect(ourRollback).toContain('rollback');
      const theirs = () =>
        test.orm.em
          .fork()
          .transactional(fail)
          .catch(() => undefined);
      expect(ourRollback).toEqual(await linesOf(theirs));
    });

    it('tells the end also to a subscriber that comes in its middle', async () => {
      const told = new Told();
      await run(async (em) => {
        em.getContext().getEventManager().registerSubscriber(told);
      });
      const flush = ['before', 'on', 'after'].map((when) => `${when} flush outside in`);
      expect(told.events).toEqual([...flush, 'before commit in in', 'after commit in in']);
      await run(async () => undefined);
      expect(told.events).toHaveLength(5);
    });

    it.each([
      'created',
      'changed',
      'removed',
      'removed, of which nothing was read',
      'removed from a collection, and forgotten',
    ])('writes an entity at its end that was %s', async (how) => {
      await test.orm.em.fork().insertMany(Tally, [{ name: 'old', count: 1 }]);
      await run(async (em) => {
        if (how === 'created') em.create(Tally, { name: 'new', count: 1 }, { persist: true });
        if (how === 'changed') (await em.findOneOrFail(Tally, { name: 'old' })).name = 'new';
        if (how === 'removed') em.remove(await em.findOneOrFail(Tally, { name: 'old' }));
        if (how.includes('collection')) {
          const tally = await em.findOneOrFail(Tally, { name: 'old' });
          em.clear();
          // As collections do it.
          em.getContext().getUnitOfWork(false).scheduleOrphanRemoval(tally);
        }
        if (how.includes('nothing')) em.remove(em.getReference(Tally, 'old' as never));
      });
      const expected: Record<string, string[]> = { created: ['new', 'old'], changed: ['new'] };
      expect(await tallies()).toEqual(expected[how] ?? []);
    });
  });
}
