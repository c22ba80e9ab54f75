import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it, jest } from '@jest/globals';
import { OutboxStatus, slotOf, type CqrsOutboxOptions, type OutboxState } from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { DOWN, REFUSED } from '../support/scripted-transport.ts';
import { StockArchived, StockAudited, StockClosed, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const HOUR_MS = 3_600_000;
/** Nothing is tried a second time while a test lasts. */
const SLOW = { cron: NEVER, minBackoffMs: 1_000_000_000, maxBackoffMs: 1_000_000_000 };
const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const closed = (item: string, ...steps: number[]) => steps.map((step) => StockClosed.of({ item, step }));

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the status on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;

    const open = async (options: Partial<CqrsOutboxOptions> = {}): Promise<void> => {
      fixture = await openFixture({ slots: 4, ...options });
      app = fixture.first;
    };
    const read = (): Promise<OutboxState> => app.get(OutboxStatus).read();
    const at = (state: OutboxState, destination: string) =>
      state.destinations.find((each) => each.destination === destination);
    const slotNumber = (key: string): number => slotOf(key, 4) % 256;

    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('of an empty outbox that nobody has relayed yet', async () => {
      await open();
      const nothing = { pending: 0, oldestAgeMs: 0, delayed: 0, deadLetters: 0 };
      const up = { state: 'up', breaker: 'closed', failures: 0 };
      expect(await read()).toEqual({
        destinations: ['default', 'audit'].map((destination) => ({
          destination,
          ...nothing,
          health: { destination, ...up },
        })),
        slots: [],
        misplaced: 0,
        instances: [],
        parkedKeys: [],
        parkedKeyCount: 0,
        inboxDeadLetters: 0,
        openTransaction: undefined,
      });
    });

    it('counts what is pending by destination and by slot, with the age of the oldest', async () => {
      await open();
      await app.relay.runOnce();
      await app.append([...moved('a', 1, 2), StockAudited.of({ item: 'b', step: 1 })]);
      await fixture.sql('update cqrs_outbox set occurred_at = occurred_at - ? where message_key = ?', [
        HOUR_MS,
        'a',
      ]);
      const state = await read();
      expect(at(state, 'default')).toMatchObject({ pending: 3, delayed: 0, deadLetters: 0 });
      expect(at(state, 'audit')).toMatchObject({ pending: 1 });
      const [oldest, youngest] = [at(state, 'default')?.oldestAgeMs, at(state, 'audit')?.oldestAgeMs];
      expect(oldest).toBeGreaterThanOrEqual(HOUR_MS);
      expect(oldest).toBeLessThan(HOUR_MS + 30_000);
      expect(youngest).toBeLessThan(30_000);
      expect(slotNumber('a')).not.toBe(slotNumber('b'));
      expect(state.slots.map(({ slot }) => slot)).toEqual([0, 1, 2, 3]);
      const pending = Object.fromEntries(state.slots.map(({ slot, pending: count }) => [slot, count]));
      expect(pending).toEqual({ 0: 0, 1: 0, 2: 0, 3: 0, [slotNumber('a')]: 2, [slotNumber('b')]: 2 });
      expect(state.slots[slotNumber('a')]?.oldestAgeMs).toBe(oldest);
    });

    it('counts what is delayed and what was given up', async () => {
      await open();
      fixture.transport.decide = () => ({ status: 'refused', error: new Error('never'), permanent: true });
      await app.append(moved('a', 1, 2));
      await app.relay.runOnce();
      await app.append([...moved('a', 3), StockAudited.of({ item: 'a', step: 4 })], {
        availableAt: new Date(Date.now() + HOUR_MS),
      });
      const state = await read();
      expect(at(state, 'default')).toMatchObject({ pending: 0, delayed: 2, deadLetters: 2, oldestAgeMs: 0 });
      expect(at(state, 'audit')).toMatchObject({ pending: 0, delayed: 1, deadLetters: 0 });
    });

    it('names the keys that wait: for a retry, with its time, or for a person', async () => {
      await open({ relay: SLOW });
      fixture.transport.decide = (_, step) =>
        step === 1 ? REFUSED : { status: 'refused', error: new Error('never'), permanent: true };
      await app.append([...moved('retried', 1), ...closed('parked', 2), ...moved('parked', 3)]);
      await eventually(async () => {
        const state = await read();
        expect(state.parkedKeyCount).toBe(2);
        expect(state.destinations[0]).toMatchObject({ destination: 'default', pending: 2, deadLetters: 1 });
      });
      const { parkedKeys } = await read();
      expect(parkedKeys).toHaveLength(2);
      expect(parkedKeys).toContainEqual({
        destination: 'default',
        key: 'retried',
        attempts: 1,
        error: 'too hot',
        retryInMs: expect.any(Number) as unknown,
      });
      expect(parkedKeys).toContainEqual({
        destination: 'default',
        key: 'parked',
        attempts: 1,
        error: 'never',
        retryInMs: undefined,
      });
      const { retryInMs } = parkedKeys.find(({ key }) => key === 'retried') ?? {};
      expect(retryInMs).toBeGreaterThan(0);
      expect(retryInMs).toBeLessThanOrEqual(1_000_000_000);
    });

    it('names the first hundred of the keys that wait, and counts all', async () => {
      await open();
      fixture.transport.decide = () => REFUSED;
      await app.append(Array.from({ length: 105 }, (_, index) => moved(`k${index}`, 1)).flat());
      await app.relay.runOnce();
      // Those with a short wait may have been tried again.
      const { parkedKeys, parkedKeyCount } = await read();
      expect([parkedKeys.length, parkedKeyCount]).toEqual([100, 105]);
    });

    it('forgets a key as soon as it goes on', async () => {
      await open();
      fixture.transport.decide = () => REFUSED;
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      expect((await read()).parkedKeyCount).toBe(1);
      fixture.transport.decide = () => ({ status: 'published' });
      await fixture.makeRetriesDue();
      await app.relay.runOnce();
      expect(await read()).toMatchObject({ parkedKeyCount: 0, parkedKeys: [] });
    });

    it('tells the state of the breaker, with cause, reason and time', async () => {
      await open({ relay: SLOW });
      fixture.audit.decide = () => DOWN;
      await app.append([StockAudited.of({ item: 'a', step: 1 })]);
      await eventually(async () => expect(at(await read(), 'audit')?.health?.state).toBe('down'));
      const state = await read();
      expect(at(state, 'audit')?.health).toEqual({
        destination: 'audit',
        state: 'down',
        breaker: 'open',
        cause: 'destination',
        reason: 'broker is away',
        downSince: expect.any(Date) as unknown,
        failures: 1,
      });
      expect(at(state, 'default')?.health).toMatchObject({ state: 'up', breaker: 'closed' });
    });

    it('tells who has which slot, by which lease, and until when', async () => {
      await open();
      const running = await fixture.start({ slots: 4, relay: { cron: NEVER, leaseMs: 5_000 } });
      await eventually(async () => {
        const { slots } = await read();
        expect(slots.map(({ owner }) => owner)).toEqual(new Array(4).fill(running.relay.instance));
      });
      const { slots, instances } = await read();
      expect(instances).toEqual([
        { instance: running.relay.instance, slotCount: 4, expiresInMs: expect.any(Number) as unknown },
      ]);
      for (const { epoch, expiresInMs } of slots) {
        expect(epoch).toBeGreaterThanOrEqual(1);
        expect(expiresInMs).toBeGreaterThan(0);
        expect(expiresInMs).toBeLessThanOrEqual(5_000);
      }
      const epochs = slots.map(({ epoch }) => epoch);
      await fixture.stop(running);
      const after = await read();
      expect(after.instances).toEqual([]);
      expect(after.slots).toEqual(
        epochs.map((epoch, slot) => ({
          slot,
          pending: 0,
          oldestAgeMs: 0,
          owner: undefined,
          epoch,
          expiresInMs: undefined,
        })),
      );
    });

    it('counts what belongs to no slot, by destination too', async () => {
      await open();
      await app.relay.runOnce();
      await app.append(moved('a', 1, 2));
      const other = await fixture.start({ slots: 8 });
      await other.append(moved('b', 1, 2, 3));
      const state = await read();
      expect(state.misplaced).toBe(3);
      expect(at(state, 'default')?.pending).toBe(5);
      expect(state.slots.reduce((sum, { pending }) => sum + pending, 0)).toBe(2);
      await app.relay.runOnce();
      expect((await read()).misplaced).toBe(0);
    });

    it('tells of a destination that is not configured here', async () => {
      await open();
      await app.append([StockArchived.of({ item: 'a', step: 1 })]);
      app = await fixture.restart({ slots: 4, transport: fixture.transport });
      const state = await read();
      expect(state.destinations.map(({ destination }) => destination)).toEqual(['default', 'audit']);
      expect(at(state, 'audit')).toMatchObject({ pending: 1, health: undefined });
    });

    it('names the oldest transaction that has written and stays open, if the database tells', async () => {
      await open();
      expect((await read()).openTransaction).toBeUndefined();
      if (name === 'libsql') return;
      const reader = app.em;
      await reader.begin();
      await reader.getConnection().execute('select * from tally', [], 'all', reader.getTransactionContext());
      const { em } = app;
      await em.begin();
      const run = <Row>(statement: string) =>
        em.getConnection().execute<Row[]>(statement, [], 'all', em.getTransactionContext());
      const [own] = await run<{ id: number | string }>(
        name === 'postgres' ? 'select pg_backend_pid() as id' : 'select connection_id() as id',
      );
      await run("insert into tally (name, count) values ('open', 1)");
      try {
        await eventually(async () => {
          // InnoDB's list of transactions is not renewed as long as it is read more often than each 0.1 s.
          await delay(150);
          expect((await read()).openTransaction).toBeDefined();
        });
        const { openTransaction } = await read();
        expect(openTransaction?.connection).toBe(String(own?.id));
        expect(openTransaction?.ageMs).toBeGreaterThanOrEqual(1_000);
        expect(openTransaction?.ageMs).toBeLessThan(30_000);
        if (name === 'postgres') expect(openTransaction?.statement).toMatch(/insert into tally/);
      } finally {
        await em.rollback();
        await reader.rollback();
      }
      await delay(150);
      expect((await read()).openTransaction).toBeUndefined();
    });
  });
}
