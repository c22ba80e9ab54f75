import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { OutboxRelay, OutboxStore, type CqrsOutboxOptions, type RelayOptions } from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { StockAudited, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, type OutboxFixture, type Instance } from './outbox-fixture.ts';

const HOUR_MS = 3_600_000;
const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const inMs = (ms: number) => ({ availableAt: new Date(Date.now() + ms) });

for (const { name, needs } of DATABASES) {
  describeWith(needs, `delayed entries on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;

    const open = async (options: Partial<CqrsOutboxOptions> = {}): Promise<void> => {
      fixture = await openFixture(options);
      app = fixture.first;
    };
    /** Another application, which relays by itself. */
    const run = async (relay: RelayOptions = {}): Promise<Instance> => {
      const running = await fixture.start({ relay: { cron: NEVER, ...relay } });
      await eventually(() => expect(running.relay.isFirst).toBe(true));
      return running;
    };
    const stepsOf = (key: string): number[] => fixture.transport.stepsOf(key);

    beforeEach(() => open());
    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('are published when they are due, and not before', async () => {
      await app.append(moved('a', 1), inMs(HOUR_MS));
      const nothing = { published: 0, refused: 0, deadLettered: 0 };
      await expect(app.relay.runOnce()).resolves.toEqual({ default: nothing, audit: nothing });
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_delayed')]).toEqual([
        0, 1,
      ]);
      const [row] = await fixture.sql<{ message_id: string }>('select message_id from cqrs_outbox_delayed');
      await expect(app.relay.publishOne(row?.message_id ?? '')).rejects.toMatchObject({
        code: 'ENTRY_NOT_FOUND',
      });
      await fixture.makeDelayedDue();
      await app.relay.runOnce();
      expect(fixture.transport.idsOf('a')).toEqual([row?.message_id]);
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_delayed')]).toEqual([
        0, 0,
      ]);
    });

    it('are published at their time without a tick, also when a later one is appended meanwhile', async () => {
      const running = await run();
      const { availableAt } = inMs(400);
      await running.append(moved('a', 1), { availableAt });
      await running.append(moved('a', 2), inMs(HOUR_MS));
      await eventually(() => expect(stepsOf('a')).toEqual([1]), 5_000);
      const { at } = fixture.transport.arrivals[0] ?? { at: 0 };
      // Servers of this machine have its clock.
      expect(at).toBeGreaterThanOrEqual(availableAt.getTime());
      expect(at).toBeLessThan(availableAt.getTime() + 3_000);
    });

    it('are published at their time when an earlier one is appended after a later one', async () => {
      const running = await run();
      await running.append(moved('a', 1), inMs(HOUR_MS));
      await running.append(moved('a', 2), inMs(100));
      await eventually(() => expect(stepsOf('a')).toEqual([2]), 5_000);
    });

    it('stand in their key between what was appended until they were due and what comes later', async () => {
      await app.append(moved('a', 10), inMs(HOUR_MS));
      await app.append(moved('a', 1));
      await app.append(moved('a', 2));
      await app.relay.runOnce();
      expect(stepsOf('a')).toEqual([1, 2]);
      await app.append(moved('a', 3));
      await fixture.makeDelayedDue();
      const running = await run();
      await eventually(async () => {
        await running.relay.runOnce();
        expect(stepsOf('a')).toEqual([1, 2, 3, 10]);
      });
      await running.append(moved('a', 4));
      await eventually(() => expect(stepsOf('a')).toEqual([1, 2, 3, 10, 4]));
    });

    it('follow each other in the order of their times, and at the same time in that of their appends', async () => {
      const noon = { availableAt: new Date(Date.now() + HOUR_MS) };
      await app.append(moved('a', 30), inMs(2 * HOUR_MS));
      await app.append(moved('a', 20, 21), noon);
      await app.append(moved('a', 22), noon);
      await app.append(moved('a', 10), inMs(60_000));
      await fixture.makeDelayedDue();
      await app.relay.runOnce();
      expect(stepsOf('a')).toEqual([10, 20, 21, 22, 30]);
    });

    it('are published by the thousand in one pass', async () => {
      const all = Array.from({ length: 1_200 }, (_, step) => step);
      await app.append(moved('a', ...all), inMs(HOUR_MS));
      await fixture.makeDelayedDue();
      await app.relay.runOnce();
      expect(stepsOf('a')).toEqual(all);
    });

    it('are published at once when their time is past', async () => {
      const running = await run();
      await running.append(moved('a', 1), { availableAt: new Date(0) });
      await running.append(moved('b', 1), inMs(-1));
      await eventually(() => expect([stepsOf('a'), stepsOf('b')]).toEqual([[1], [1]]), 5_000);
    });

    it('are gone with the transaction or the savepoint that is rolled back', async () => {
      const { em } = app;
      const rollBack = em.transactional(async () => {
        app.appendNow(moved('a', 1), inMs(HOUR_MS));
        throw new Error('no');
      });
      await expect(rollBack).rejects.toThrow('no');
      await em.transactional(async (outer) => {
        await outer
          .transactional(async () => {
            app.appendNow(moved('a', 2), inMs(HOUR_MS));
            throw new Error('inner');
          })
          .catch(() => undefined);
        app.appendNow(moved('a', 3), inMs(HOUR_MS));
      });
      await fixture.makeDelayedDue();
      await app.relay.runOnce();
      expect(stepsOf('a')).toEqual([3]);
    });

    it('keep the time that was given, whatever becomes of the Date', async () => {
      const availableAt = new Date(Date.now() + HOUR_MS);
      const wanted = availableAt.getTime();
      await app.em.transactional(async () => {
        app.appendNow(moved('a', 1), { availableAt });
        availableAt.setTime(0);
      });
      const [row] = await fixture.sql<{ available_at: number | string }>(
        'select available_at from cqrs_outbox_delayed',
      );
      expect(Number(row?.available_at)).toBe(wanted);
    });

    it('of an application whose relay is off are published by another', async () => {
      await run({ cron: '* * * * * *' });
      expect(app.relay.instance).toBeUndefined();
      await app.append(moved('a', 1), inMs(200));
      await eventually(() => expect(stepsOf('a')).toEqual([1]));
    });

    it('survive a restart', async () => {
      await app.append(moved('a', 1), { ...inMs(HOUR_MS), headers: { tenant: 'acme' } });
      const restarted = await fixture.restart();
      await restarted.relay.runOnce();
      expect(stepsOf('a')).toEqual([]);
      await fixture.makeDelayedDue();
      await restarted.relay.runOnce();
      expect(stepsOf('a')).toEqual([1]);
    });

    it('are found by an instance that starts when they are due already', async () => {
      await app.append(moved('a', 1), inMs(HOUR_MS));
      await fixture.makeDelayedDue();
      await run({ cron: '* * * * * *' });
      await eventually(() => expect(stepsOf('a')).toEqual([1]));
    });

    it('reach each of their destinations', async () => {
      await app.append([StockAudited.of({ item: 'a', step: 1 })], inMs(HOUR_MS));
      expect(await fixture.count('cqrs_outbox_delayed')).toBe(2);
      await fixture.makeDelayedDue();
      await app.relay.runOnce();
      expect(fixture.transport.idsOf('a')).toHaveLength(1);
      expect(fixture.audit.idsOf('a')).toEqual(fixture.transport.idsOf('a'));
    });

    it('that are due in months, beyond what a timer can wait, are not looked at in a loop', async () => {
      const running = await run();
      const promote = jest.spyOn(running.get(OutboxStore), 'promote');
      await running.append(moved('a', 1), inMs(60 * 24 * HOUR_MS));
      await running.append(moved('b', 1), inMs(50));
      await eventually(() => expect(stepsOf('b')).toEqual([1]));
      expect(promote.mock.calls.length).toBeLessThan(10);
      expect(stepsOf('a')).toEqual([]);
    });

    it('wait for the next tick when the database fails, and are not lost', async () => {
      const running = await run({ cron: '* * * * * *' });
      jest.spyOn(running.get(OutboxStore), 'promote').mockRejectedValueOnce(new Error('database is away'));
      await running.append(moved('a', 1), inMs(50));
      await eventually(() => expect(stepsOf('a')).toEqual([1]));
    });

    it('are moved by the instance that has the first slot alone', async () => {
      const running = await run();
      const other = await fixture.start({ relay: { cron: NEVER } });
      await eventually(async () => expect(other.relay.instance).toBeDefined());
      const both = [running, other].map((each) => ({
        relay: each.get(OutboxRelay),
        promote: jest.spyOn(each.get(OutboxStore), 'promote'),
      }));
      await app.append(moved('a', 1), inMs(HOUR_MS));
      await fixture.makeDelayedDue();
      await eventually(async () => {
        for (const { relay } of both) await relay.runOnce();
        expect(stepsOf('a')).toEqual([1]);
      });
      const movers = both.filter(({ promote }) => promote.mock.calls.length > 0);
      expect(movers).toHaveLength(1);
      expect(movers[0]?.relay.isFirst).toBe(true);
    });
  });
}
