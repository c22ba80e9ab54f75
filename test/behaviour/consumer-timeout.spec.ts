import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  DomainEvent,
  EventHandler,
  Outbox,
  type ConsumerOptions,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPaid, OrderPlaced, Tally } from '../support/orders.ts';
import { createCrateApp, crateHeaders, onKafka, PAYLOAD, type CrateApp } from './consumer-fixture.ts';

const never = (): Promise<never> => new Promise(() => undefined);

/** Past MikroORM, on the transaction's own connection. */
async function insertRaw(em: EntityManager, name: string): Promise<unknown> {
  return (em as SqlEntityManager)
    .getKysely<{ tally: { name: string; count: number } }>()
    .insertInto('tally')
    .values({ name, count: 1 })
    .execute();
}

/** Hangs in the transaction's last step. */
@EventHandler(OrderPlaced)
class HangsAtCommit implements HandlesEvent<OrderPlaced> {
  handle(): Promise<void> {
    return never();
  }
}

class CrateSealed extends DomainEvent {}

/** Takes longer than the handler that has committed may. */
@EventHandler(CrateSealed, { phase: 'after-commit' })
class SealsSlowly implements HandlesEvent<CrateSealed> {
  constructor(private readonly em: EntityManager) {}

  async handle(): Promise<void> {
    await delay(500);
    await this.em.insertMany(Tally, [{ name: 'sealed', count: 1 }]);
  }
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `a handler that takes too long, on ${name}`, () => {
    let test: CrateApp;

    const start = async (options: ConsumerOptions = {}): Promise<void> => {
      const consumer = {
        maxAttempts: 2,
        minBackoffMs: 1,
        maxBackoffMs: 1,
        handlerTimeoutMs: 300,
        ...options,
      };
      test = await createCrateApp({ database: name }, { consumer }, [HangsAtCommit, SealsSlowly]);
    };

    beforeEach(() => start());
    afterEach(() => test.close());

    const rows = async (table: string): Promise<number> => {
      const select = `select count(*) as total from ${table}`;
      const [row] = await test.orm.em.fork().getConnection().execute<{ total: number | string }[]>(select);
      return Number(row?.total);
    };

    it('and never settles is given up in its transaction, and becomes a dead letter; what follows goes on', async () => {
      test.behaviour.onCall = (call) => (call <= 2 ? never() : Promise.resolve());
      await test.consumer.consume(PAYLOAD, onKafka());
      expect([test.behaviour.calls, await test.crates(), await rows('cqrs_inbox')]).toEqual([2, 0, 0]);
      const [letter] = await test.letters();
      expect(letter?.['reason']).toMatch(/CountCrates, for message \S+, took over 300 ms/);
      await test.consumer.consume(PAYLOAD, onKafka());
      expect([await test.crates(), await rows('cqrs_inbox')]).toEqual([1, 1]);
    });

    it('is not one whose handlers after the commit take long: it has committed', async () => {
      test.behaviour.onCall = async () => test.app.get(Outbox).append(CrateSealed.of());
      await test.consumer.consume(PAYLOAD, onKafka());
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 0, deadLettered: 0 });
      expect(await test.orm.em.fork().count(Tally, { name: 'sealed' })).toBe(1);
    });

    it('and is done at the second try takes effect once', async () => {
      test.behaviour.onCall = (call) => (call === 1 ? never() : Promise.resolve());
      await test.consumer.consume(PAYLOAD, onKafka());
      expect(await test.crates()).toBe(1);
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 1 });
    });

    it('and goes on after it was given up can change nothing any more, whatever way it takes', async () => {
      let wake: () => void = () => undefined;
      let late: Promise<PromiseSettledResult<unknown>[]> | undefined;
      const goOn = async (em: EntityManager): Promise<PromiseSettledResult<unknown>[]> => {
        await new Promise<void>((resolve) => (wake = resolve));
        const transactional = (work: () => unknown) => em.transactional(async () => work());
        // With nothing to write, too; a second flush would wait for the first.
        const empty = await Promise.allSettled([em.flush()]);
        const others = await Promise.allSettled([
          em.insertMany(Tally, [{ name: 'by insert', count: 1 }]),
          em.nativeUpdate(Tally, {}, { count: 1_000 }),
          (async () => {
            const tally = em.create(Tally, { name: 'by flush', count: 1 });
            await em.persist(tally).flush();
          })(),
          transactional(() => em.insertMany(Tally, [{ name: 'by transaction', count: 1 }])),
          insertRaw(em, 'by Kysely'),
          em.fork().insertMany(Tally, [{ name: 'by fork', count: 1 }]),
          (async () => test.app.get(Outbox).append(OrderPaid.of({ orderId: 1, step: 1 })))(),
        ]);
        return [...empty, ...others];
      };
      test.behaviour.onCall = (call, em) => {
        if (call > 1) return Promise.resolve();
        late = goOn(em);
        return never();
      };
      await test.consumer.consume(PAYLOAD, onKafka());
      wake();
      const results = (await late) ?? [];
      expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 'rejected'));
      const tallies = await test.orm.em.fork().find(Tally, {});
      expect(tallies.map(({ name: tally, count }) => [tally, count])).toEqual([['crates', 1]]);
      expect(await rows('cqrs_outbox')).toBe(0);
    });

    it.each(['alone', 'in a transaction that others share'])(
      'and goes on %s can change nothing by its forks, nor by those of a nested transaction',
      async (where) => {
        if (where !== 'alone') {
          await test.close();
          await start({ batch: { maxMessages: 50, maxTransactions: 1 } });
        }
        let wake: () => void = () => undefined;
        const woken = new Promise<void>((resolve) => (wake = resolve));
        const late: Promise<unknown>[] = [];
        const insert = (em: EntityManager, row: string) => em.insertMany(Tally, [{ name: row, count: 1 }]);
        test.behaviour.onCall = (call, em) => {
          if (call > 1) return Promise.resolve();
          const early = em.fork();
          late.push(
            woken.then(() => insert(early, 'by an early fork')),
            woken.then(() => early.transactional((inner) => insert(inner, 'by its transaction'))),
            woken.then(() => insert(em.fork(), 'by a late fork')),
            em.transactional(() => woken.then(() => insert(em.fork(), 'by a nested fork'))),
          );
          return never();
        };
        await test.consumer.consume(PAYLOAD, onKafka());
        wake();
        const results = await Promise.allSettled(late);
        expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'rejected'));
        const tallies = await test.orm.em.fork().find(Tally, {});
        expect(tallies.map(({ name: tally, count }) => [tally, count])).toEqual([['crates', 1]]);
      },
    );

    it('and writes while it is being rolled back leaves nothing', async () => {
      let isOver = false;
      const attempts: Promise<unknown>[] = [];
      test.behaviour.onCall = async (call, em) => {
        if (call > 1) return;
        for (let step = 0; !isOver; step++) {
          const row = { name: `step ${step}`, count: 1 };
          const written = step % 2 === 0 ? em.insertMany(Tally, [row]) : insertRaw(em, row.name);
          attempts.push(written.catch(() => undefined));
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      await test.consumer.consume(PAYLOAD, onKafka());
      isOver = true;
      await Promise.all(attempts);
      expect(attempts.length).toBeGreaterThan(10);
      const tallies = await test.orm.em.fork().find(Tally, {});
      expect(tallies.map(({ name: tally, count }) => [tally, count])).toEqual([['crates', 1]]);
    });

    it('in a handler of a domain event, at the commit, is given up too', async () => {
      test.behaviour.onCall = async (call, em) => {
        if (call > 1) return;
        const order = em.create(Order, { id: 1, status: 'new' });
        order.place();
        em.persist(order);
      };
      await test.consumer.consume(PAYLOAD, onKafka(crateHeaders()));
      expect([await test.crates(), await rows('orders')]).toEqual([1, 0]);
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 1 });
    });

    if (name === 'libsql') return;

    it('and waits for a lock in the database is given up before it has the lock', async () => {
      const holder = test.orm.em.fork();
      await holder.begin();
      await holder.insertMany(Tally, [{ name: 'contended', count: 1 }]);
      test.behaviour.onCall = async (call, em) => {
        if (call === 1) await em.insertMany(Tally, [{ name: 'contended', count: 2 }]);
      };
      const startedAt = performance.now();
      await test.consumer.consume(PAYLOAD, onKafka());
      expect(performance.now() - startedAt).toBeLessThan(8_000);
      expect(test.consumer.counts).toMatchObject({ handled: 1, failedAttempts: 1 });
      await holder.rollback();
    });

    it('and waits for the inbox row of an instance that has frozen is given up, too', async () => {
      const frozen = test.orm.em.fork();
      await frozen.begin();
      const headers = crateHeaders();
      await frozen.execute(
        `insert into cqrs_inbox (message_id, handler, received_at) values ('${headers['ce_id']}', 'CountCrates', 0)`,
      );
      const startedAt = performance.now();
      await test.consumer.consume(PAYLOAD, onKafka(headers));
      expect(performance.now() - startedAt).toBeLessThan(8_000);
      expect([test.behaviour.calls, test.consumer.counts.deadLettered]).toEqual([0, 1]);
      await frozen.rollback();
    });
  });
}
