import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, it, jest } from '@jest/globals';
import {
  OutboxStore,
  type CqrsOutboxOptions,
  type DestinationHealth,
  type PublishResult,
  type RelayOptions,
} from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { DOWN, REFUSED } from '../support/scripted-transport.ts';
import { StockArchived, StockAudited, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const PUBLISHED: PublishResult = { status: 'published' };
const HELD: PublishResult = { status: 'held' };
/** The backoff does not end while a test lasts. */
const ONCE: RelayOptions = { cron: NEVER, minBackoffMs: 1_000_000_000, maxBackoffMs: 1_000_000_000 };
/** The backoff is hardly any. */
const SOON: RelayOptions = { cron: NEVER, minBackoffMs: 1, maxBackoffMs: 20, maxAttempts: 3 };

const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const each = (count: number) => Array.from({ length: count }, (_, index) => moved(`k${index}`, 1)).flat();

for (const { name, needs } of DATABASES) {
  describeWith(needs, `failures on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;

    const open = async (
      relay: RelayOptions | false,
      options: Partial<CqrsOutboxOptions> = {},
    ): Promise<void> => {
      fixture = await openFixture({ relay, ...options });
      app = fixture.first;
      if (relay) await eventually(() => expect(app.relay.isFirst).toBe(true));
    };
    const health = (destination = 'default'): DestinationHealth | undefined =>
      app.relay.health().find((state) => state.destination === destination);
    const rows = async () => ({
      waiting: await fixture.count('cqrs_outbox'),
      retries: await fixture.count('cqrs_outbox_retry'),
      deadLetters: await fixture.count('cqrs_outbox_dead_letter'),
    });
    const isDone = () =>
      eventually(async () => expect(await rows()).toEqual({ waiting: 0, retries: 0, deadLetters: 0 }));
    /** All that the relay looks again for: commits, ticks, and requests for a pass. */
    const makeNews = async (): Promise<void> => {
      for (let round = 0; round < 5; round++) {
        await app.append(moved(`news${round}`, 1));
        app.relay.tick();
        for (let turn = 0; turn < 20; turn++) await setImmediate();
        await fixture.count('cqrs_outbox');
      }
    };

    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('of a destination that is down use up no attempts, and are probed with one entry until it is back', async () => {
      await open(SOON);
      fixture.transport.decide = () => DOWN;
      const breakers: unknown[] = [];
      fixture.transport.onBatch = async () => void breakers.push(health()?.breaker);
      await app.append(each(40));
      await eventually(() => expect(fixture.transport.given.length).toBeGreaterThan(8));
      expect(await rows()).toEqual({ waiting: 40, retries: 0, deadLetters: 0 });
      expect(health()).toMatchObject({ state: 'down', cause: 'destination', reason: 'broker is away' });
      expect(health()?.failures).toBeGreaterThan(5);
      expect(health()?.downSince).toBeInstanceOf(Date);
      // Two batches may be on their way at the first failure.
      expect(fixture.transport.given[0]).toBeGreaterThan(1);
      expect(new Set(fixture.transport.given.slice(2))).toEqual(new Set([1]));
      expect(new Set(breakers.slice(2))).toEqual(new Set(['half-open']));
      fixture.transport.decide = () => PUBLISHED;
      await isDone();
      expect(fixture.transport.arrivals).toHaveLength(40);
      await eventually(() =>
        expect(health()).toEqual({ destination: 'default', state: 'up', breaker: 'closed', failures: 0 }),
      );
    });

    it('keep a destination from being tried before the backoff is over, whatever news there is', async () => {
      await open(ONCE);
      fixture.transport.decide = () => DOWN;
      await app.append(moved('a', 1));
      await eventually(() => expect(health()?.breaker).toBe('open'));
      await makeNews();
      expect(fixture.transport.given).toHaveLength(1);
      expect(health()).toMatchObject({ breaker: 'open', failures: 1 });
    });

    it('leave what was published of a batch published, and count what was refused in it', async () => {
      await open(false);
      fixture.transport.decide = (key) => (key === 'down' ? DOWN : key === 'refused' ? REFUSED : PUBLISHED);
      await app.append(['a', 'refused', 'down', 'b'].flatMap((key) => moved(key, 1)));
      await expect(app.relay.runOnce()).rejects.toThrow('broker is away');
      expect(await rows()).toEqual({ waiting: 2, retries: 1, deadLetters: 0 });
      expect(fixture.transport.arrivals.map(({ key }) => key).toSorted()).toEqual(['a', 'b']);
    });

    it('of an entry do not count for its destination', async () => {
      await open(SOON);
      fixture.transport.decide = (key) => (key === 'bad' ? REFUSED : PUBLISHED);
      await app.append([...moved('bad', 1), ...moved('a', 1)]);
      await eventually(async () => expect((await rows()).deadLetters).toBe(1));
      expect(health()).toEqual({ destination: 'default', state: 'up', breaker: 'closed', failures: 0 });
      await app.append(moved('a', 2));
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([1, 2]));
    });

    it.each(['fetch', 'remove'] as const)(
      'of the database when it should %s are its own, and pass',
      async (method) => {
        await open(SOON);
        // Both answers are never given here.
        const failing = jest.spyOn(app.get(OutboxStore), method as 'remove');
        const failures = new Set<unknown>();
        for (let time = 0; time < 3; time++) {
          failing.mockImplementationOnce(() => {
            failures.add(health()?.cause);
            return Promise.reject(new Error('database is away'));
          });
        }
        await app.append(moved('a', 1, 2));
        await isDone();
        expect(failures).toEqual(new Set([undefined, 'relay']));
        expect([...new Set(fixture.transport.stepsOf('a'))]).toEqual([1, 2]);
        expect(new Set(fixture.transport.idsOf('a')).size).toBe(2);
      },
    );

    it.each(['reschedule', 'bury'] as const)(
      'of the database when it should %s lose no attempt and no entry',
      async (method) => {
        await open({ ...SOON, maxAttempts: 2 });
        jest.spyOn(app.get(OutboxStore), method).mockRejectedValueOnce(new Error('database is away'));
        fixture.transport.decide = () => REFUSED;
        await app.append(moved('a', 1));
        await eventually(async () =>
          expect(await rows()).toEqual({ waiting: 0, retries: 0, deadLetters: 1 }),
        );
        const [letter] = await fixture.sql('select attempts from cqrs_outbox_dead_letter');
        expect(Number(letter?.['attempts'])).toBe(2);
        // The refusal that could not be written down was repeated.
        expect(fixture.transport.given).toHaveLength(3);
      },
    );

    const broken: readonly [string, () => Promise<unknown>, RegExp][] = [
      ['throws', () => Promise.reject(new Error('oops')), /oops/],
      ['returns nothing', async () => undefined, /undefined/],
      ['returns no results', async () => [], /0 results for 1/],
      ['returns too many results', async () => [PUBLISHED, PUBLISHED], /2 results for 1/],
      ['returns empty results', async () => [undefined], /undefined/],
      ['holds everything back', async () => [HELD], /published nothing, and gave no reason/],
      ['returns results of no known kind', async () => [{ status: 'sent' }], /sent/],
    ];

    it.each(broken)(
      'of a transport that %s are our own fault, with a backoff',
      async (_, publish, reason) => {
        await open(ONCE);
        const calls = jest.spyOn(fixture.transport, 'publish').mockImplementation(publish as never);
        await app.append(moved('a', 1));
        await eventually(() => expect(health()).toMatchObject({ state: 'down', cause: 'relay' }));
        expect(health()?.reason).toMatch(reason);
        await makeNews();
        expect(calls.mock.calls).toHaveLength(1);
        expect(await rows()).toEqual({ waiting: 6, retries: 0, deadLetters: 0 });
      },
    );

    it.each(broken)('of a transport that %s pass when it is mended', async (_, publish) => {
      await open(SOON);
      const calls = jest.spyOn(fixture.transport, 'publish').mockImplementation(publish as never);
      await app.append(moved('a', 1));
      await eventually(() => expect(calls.mock.calls.length).toBeGreaterThan(2));
      calls.mockRestore();
      await app.append(moved('a', 2));
      await isDone();
      expect(fixture.transport.stepsOf('a')).toEqual([1, 2]);
      await eventually(() => expect(health()?.state).toBe('up'));
    });

    it('of a transport that holds one key back for ever are noticed, and do not stop the others', async () => {
      await open(SOON);
      fixture.transport.decide = (key) => (key === 'held' ? HELD : PUBLISHED);
      await app.append([...moved('held', 1), ...moved('a', 1)]);
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([1]));
      await eventually(() => {
        app.relay.tick();
        expect(health()).toMatchObject({ state: 'down', cause: 'relay' });
      });
      fixture.transport.decide = () => PUBLISHED;
      await isDone();
    });

    it('of one destination, which hangs, do not stop another', async () => {
      await open({ ...SOON, drainTimeoutMs: 50, batchSize: 10 });
      let release: () => void = () => undefined;
      fixture.audit.onBatch = () => new Promise((resolve) => (release = resolve));
      await app.append(Array.from({ length: 5 }, (_, step) => StockAudited.of({ item: 'a', step })));
      await eventually(() => expect(fixture.audit.batches).toBe(1));
      for (let step = 5; step < 60; step++) await app.append([StockAudited.of({ item: 'a', step })]);
      const all = Array.from({ length: 60 }, (_, step) => step);
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual(all));
      expect(fixture.audit.stepsOf('a')).toEqual([]);
      fixture.audit.onBatch = async () => undefined;
      release();
      await eventually(() => expect(fixture.audit.stepsOf('a')).toEqual(all));
    });

    it('of one destination, which is down, do not stop another', async () => {
      await open(ONCE);
      fixture.audit.decide = () => DOWN;
      await app.append([StockArchived.of({ item: 'a', step: 1 })]);
      await eventually(() => expect(health('audit')).toMatchObject({ state: 'down' }));
      await app.append([StockAudited.of({ item: 'a', step: 2 }), ...moved('a', 3)]);
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([2, 3]));
      expect(health('default')).toMatchObject({ state: 'up' });
      expect(fixture.audit.given).toHaveLength(1);
    });

    it.each([
      [0.999_999, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]],
      [0.5, [50, 100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500]],
      [0, [1, 1, 1, 1, 1, 1, 1, 1, 1]],
    ])(
      'of an entry wait exponentially longer, up to a limit, of which a random part is taken: %d',
      async (random, waits) => {
        await open(false);
        // Nest itself needs random numbers at the boot.
        jest.spyOn(Math, 'random').mockReturnValue(random);
        const reschedule = jest.spyOn(app.get(OutboxStore), 'reschedule');
        fixture.transport.decide = () => REFUSED;
        await app.append(moved('a', 1));
        await eventually(async () => {
          await fixture.makeRetriesDue();
          await app.relay.runOnce();
          expect((await rows()).deadLetters).toBe(1);
        });
        expect(reschedule.mock.calls.map(([, delayMs]) => delayMs)).toEqual(waits);
      },
    );

    if (name === 'libsql') {
      it('of a destination wait exponentially longer, up to a limit', async () => {
        const options = { relay: { ...SOON, minBackoffMs: 40, maxBackoffMs: 160 } };
        fixture = await openFixture(options, {
          beforeInit: async () => void jest.spyOn(Math, 'random').mockReturnValue(0.999_999),
        });
        app = fixture.first;
        fixture.transport.decide = () => DOWN;
        const tries: number[] = [];
        fixture.transport.onBatch = async () => void tries.push(performance.now());
        await app.append(moved('a', 1));
        await eventually(() => expect(tries.length).toBeGreaterThanOrEqual(6));
        const waits = tries.slice(1, 6).map((time, index) => time - (tries[index] ?? 0));
        // A timer may be late, and is never early by more than its own resolution.
        for (const [index, atLeast] of [40, 80, 160, 160, 160].entries()) {
          expect(waits[index]).toBeGreaterThanOrEqual(atLeast - 2);
        }
        expect(waits[4]).toBeLessThan(1_000);
      });
    }
  });
}
