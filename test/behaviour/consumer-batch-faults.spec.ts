import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  EventHandler,
  EventMediator,
  IntegrationEvent,
  NotificationEvent,
  type ConsumerOptions,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPlaced, Tally } from '../support/orders.ts';
import { CratePacked, createCrateApp, onKafka, PAYLOAD, QUICK, type CrateApp } from './consumer-fixture.ts';

/** Hangs when the part that has recorded the event is completed. */
@EventHandler(OrderPlaced)
class HangsAtTheEnd implements HandlesEvent<OrderPlaced> {
  handle(): Promise<void> {
    return new Promise(() => undefined);
  }
}

@IntegrationEvent({ name: 'crates.opened', topic: 'crates' })
class CrateOpened extends NotificationEvent {
  @IsInt() crateId!: number;
}

@EventHandler(CrateOpened)
class CountsOpened implements HandlesEvent<CrateOpened> {
  constructor(private readonly em: EntityManager) {}

  async handle({ crateId }: CrateOpened): Promise<void> {
    await this.em.insertMany(Tally, [{ name: `opened ${crateId}`, count: 1 }]);
  }
}

/** Sends, in the middle of its own message, another event with the context of that. */
@EventHandler(CratePacked)
class OpensCrates implements HandlesEvent<CratePacked> {
  constructor(private readonly mediator: EventMediator) {}

  async handle({ crateId }: CratePacked, context: MessageContext): Promise<void> {
    if (crateId === 2) await this.mediator.send(CrateOpened.of({ crateId }), context);
  }
}

const TOGETHER: ConsumerOptions = { ...QUICK, batch: { maxMessages: 50, maxTransactions: 1 } };

for (const { name, needs } of DATABASES) {
  describeWith(needs, `messages that share a transaction with one that misbehaves, on ${name}`, () => {
    let app: CrateApp;

    const start = async (consumer: ConsumerOptions = {}): Promise<void> => {
      const options = { consumer: { ...TOGETHER, ...consumer } };
      app = await createCrateApp({ database: name }, options, [HangsAtTheEnd, CountsOpened, OpensCrates]);
    };
    const consume = (...crateIds: number[]): Promise<unknown> =>
      Promise.all(
        crateIds.map((crateId) => app.consumer.consume(PAYLOAD, onKafka(undefined, undefined, { crateId }))),
      );
    const effects = async (): Promise<string[]> => {
      const all = await app.orm.em.fork().find(Tally, {}, { orderBy: { name: 'asc' } });
      return all.map((tally) => `${tally.name} ${tally.count}`);
    };
    const inboxRows = async (): Promise<number> => {
      const sql = `select * from cqrs_inbox where handler = 'CountCrates'`;
      return (await app.orm.em.fork().getConnection().execute<unknown[]>(sql)).length;
    };
    /** Does it in the first try of crate `id`, which is made in the batch. */
    const misbehave = (id: number, work: (em: EntityManager) => Promise<unknown>): void => {
      let isFirst = true;
      app.behaviour.onCall = async (_call, em, { crateId }) => {
        if (crateId !== id || !isFirst) return;
        isFirst = false;
        await work(em);
      };
    };

    beforeEach(() => start());
    afterEach(() => app.close());

    it.each([1, 3, 4])(
      'and catches an error of a statement, as %d of 1, 3 and 4, have one effect each',
      async (id) => {
        misbehave(id, (em) => em.insertMany(Tally, [{ name: 'crates', count: 9 }]).catch(() => undefined));
        await consume(1, 3, 4);
        expect(await effects()).toEqual(['crates 3']);
        expect(await inboxRows()).toBe(3);
        // As the first it has failed alone: nobody else was begun.
        const failedAttempts = name === 'postgres' && id === 1 ? 1 : 0;
        expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts, deadLettered: 0 });
      },
    );

    it('and does not wait for its statements have them done, or its failure noticed', async () => {
      misbehave(3, async (em) => {
        void em.insertMany(Tally, [{ name: 'sent', count: 1 }]);
        void em.insertMany(Tally, [{ name: 'crates', count: 9 }]).catch(() => undefined);
      });
      await consume(1, 3, 4);
      // Only PostgreSQL rolls back for it, and then its handler runs again, and behaves.
      expect(await effects()).toEqual(name === 'postgres' ? ['crates 3'] : ['crates 3', 'sent 1']);
      expect(await inboxRows()).toBe(3);
      expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts: 0, deadLettered: 0 });
    });

    it('and hangs in a handler of a domain event are handled, and that one alone is given up', async () => {
      await app.close();
      await start({ handlerTimeoutMs: 300, maxAttempts: 1 });
      app.behaviour.onCall = async (_call, em, { crateId }) => {
        if (crateId !== 3) return;
        const order = em.create(Order, { id: 1, status: 'new' });
        order.place();
        em.persist(order);
      };
      const startedAt = performance.now();
      await consume(1, 3, 4);
      expect(performance.now() - startedAt).toBeLessThan(8_000);
      expect(await effects()).toEqual(['crates 2']);
      expect((await app.letters()).map(({ reason }) => reason)).toEqual([expect.stringContaining('300 ms')]);
    });

    it('and leaves a nested transaction running are handled without the half of that', async () => {
      const late: Promise<unknown>[] = [];
      misbehave(1, async (em) => {
        let begun: () => void = () => undefined;
        const hasBegun = new Promise<void>((resolve) => (begun = resolve));
        const nested = em.transactional(async (inner) => {
          await inner.insertMany(Tally, [{ name: 'half', count: 1 }]);
          begun();
          await delay(50);
          await inner.insertMany(Tally, [{ name: 'rest', count: 1 }]);
        });
        late.push(nested.catch((error: unknown) => error));
        await hasBegun;
      });
      await consume(1, 3, 4);
      expect(await Promise.all(late)).toEqual([expect.any(Error)]);
      expect(await effects()).toEqual(['crates 3']);
      expect(await inboxRows()).toBe(3);
    });

    it('and leaves work running, whatever way that takes, are handled without it', async () => {
      const late: Promise<unknown>[] = [];
      let hasTried: () => void = () => undefined;
      const tried = new Promise<void>((resolve) => (hasTried = resolve));
      app.behaviour.onCall = async (_call, em, { crateId }) => {
        // The others go on, in the same transaction, when it has tried.
        if (crateId !== 1) return tried;
        if (late.length > 0) return;
        const kysely = (em as SqlEntityManager).getKysely<{ tally: { name: string; count: number } }>();
        const fork = em.fork({ keepTransactionContext: true });
        const later = delay(50);
        const add = (way: string, work: () => Promise<unknown>): void => {
          late.push(
            later.then(work).then(
              () => way,
              (error: unknown) => error,
            ),
          );
        };
        add('em', () => em.nativeUpdate(Tally, {}, { count: 1_000 }));
        add('fork', () => fork.nativeUpdate(Tally, {}, { count: 1_000 }));
        add('kysely', () => kysely.updateTable('tally').set({ count: 1_000 }).execute());
        add('savepoint', () =>
          fork.transactional((inner) => inner.nativeUpdate(Tally, {}, { count: 1_000 })),
        );
        void Promise.all(late).then(hasTried);
      };
      await consume(1, 3, 4);
      expect(await Promise.all(late)).toEqual(Array.from({ length: 4 }, () => expect.any(Error)));
      expect(await effects()).toEqual(['crates 3']);
    });

    it('and sends another event with its context are handled with what that does', async () => {
      const startedAt = performance.now();
      await consume(1, 2, 3);
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      expect(await effects()).toEqual(['crates 3', 'opened 2 1']);
      expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts: 0 });
    });

    if (name !== 'mariadb') return;

    it('and catches a deadlock, in the middle of them, have one effect each', async () => {
      const names = ['first', 'second'];
      await app.orm.em.fork().insertMany(
        Tally,
        names.map((tally) => ({ name: tally, count: 0 })),
      );
      const caught: unknown[] = [];
      misbehave(3, async (em) => {
        const other = app.orm.em.fork();
        await other.begin();
        // InnoDB takes the one for its victim that has changed less.
        const many = Array.from({ length: 50 }, (_, index) => ({ name: `other ${index}`, count: 1 }));
        await other.insertMany(Tally, many);
        await other.nativeUpdate(Tally, { name: 'second' }, { count: 5 });
        await em.nativeUpdate(Tally, { name: 'first' }, { count: 7 });
        const locked = other.nativeUpdate(Tally, { name: 'first' }, { count: 5 });
        const mine = em.nativeUpdate(Tally, { name: 'second' }, { count: 7 });
        await mine.catch((error: unknown) => caught.push((error as { errno?: number }).errno));
        await locked;
        await other.rollback();
      });
      await consume(1, 3, 4);
      expect(caught).toEqual([1213]);
      expect(await effects()).toEqual(['crates 3', 'first 0', 'second 0']);
      expect(await inboxRows()).toBe(3);
    });
  });
}
