import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { slotOf } from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { StockDescribed, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, type OutboxFixture } from './outbox-fixture.ts';

const SLOTS = 16;
const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** So many keys, each in a slot of its own. */
function keysInDifferentSlots(count: number): string[] {
  const bySlot = new Map<number, string>();
  for (let number = 0; bySlot.size < count; number++) {
    const key = `k${number}`;
    const slot = slotOf(key, SLOTS);
    if (!bySlot.has(slot)) bySlot.set(slot, key);
  }
  return [...bySlot.values()];
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `fairness and memory on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;

    /** Another application relays what is there. */
    const drain = async (batchSize: number): Promise<void> => {
      await fixture.start({ slots: SLOTS, relay: { cron: NEVER, batchSize } });
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0), 25_000);
    };
    const placesOf = (key: string): number[] =>
      fixture.transport.arrivals.flatMap((arrival, place) => (arrival.key === key ? [place] : []));

    beforeEach(async () => {
      fixture = await openFixture({ slots: SLOTS });
    });
    afterEach(() => fixture.close());

    it.each([
      ['the same process appends', true],
      ['another process appends, from the next tick on,', false],
    ])('do not let one hot key keep what %s waiting for more than a few batches', async (_, isSame) => {
      const [hot = '', ...others] = keysInDifferentSlots(6);
      await fixture.first.append(moved(hot, ...range(4_000)));
      const running = await fixture.start({ slots: SLOTS, relay: { cron: NEVER, batchSize: 100 } });
      let appendedAt = 0;
      let batches = 0;
      fixture.transport.onBatch = async () => {
        if (++batches !== 5) return;
        await (isSame ? running : fixture.first).append(others.flatMap((key) => moved(key, 1, 2)));
        if (!isSame) running.relay.tick();
        appendedAt = fixture.transport.arrivals.length;
      };
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0), 25_000);
      expect(fixture.transport.stepsOf(hot)).toEqual(range(4_000));
      for (const key of others) {
        expect(fixture.transport.stepsOf(key)).toEqual([1, 2]);
        expect((placesOf(key).at(-1) ?? Infinity) - appendedAt).toBeLessThan(600);
      }
    });

    it('let a quiet slot have its turn between fifteen that have a backlog', async () => {
      const [quiet = '', ...busy] = keysInDifferentSlots(SLOTS);
      for (const key of busy) await fixture.first.append(moved(key, ...range(300)));
      const running = await fixture.start({ slots: SLOTS, relay: { cron: NEVER, batchSize: 60 } });
      let appendedAt = 0;
      let batches = 0;
      fixture.transport.onBatch = async () => {
        if (++batches !== 10) return;
        await running.append(moved(quiet, 1));
        appendedAt = fixture.transport.arrivals.length;
      };
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0), 25_000);
      for (const key of busy) expect(fixture.transport.stepsOf(key)).toEqual(range(300));
      expect((placesOf(quiet)[0] ?? Infinity) - appendedAt).toBeLessThan(600);
      expect(appendedAt).toBeLessThan(1_500);
      // The backlogs shrink together: none is left to the end.
      for (const key of busy) expect(placesOf(key)[150]).toBeLessThan(4_000);
    });

    it('read no more at a time than batchSize says, however many keys there are', async () => {
      await fixture.first.append(range(2_000).flatMap((index) => moved(`many${index}`, 1)));
      await drain(64);
      expect(fixture.transport.arrivals).toHaveLength(2_000);
      expect(Math.max(...fixture.transport.given)).toBeLessThanOrEqual(64);
      expect(fixture.transport.given.length).toBeLessThan(80);
    });

    it('read fewer at a time where payloads are large', async () => {
      const text = 'x'.repeat(800 * 1_024);
      for (let part = 0; part < 4; part++) {
        await fixture.first.append(
          range(10).map((index) => StockDescribed.of({ item: 'a', step: part * 10 + index, text })),
        );
      }
      await drain(20);
      expect(fixture.transport.stepsOf('a')).toEqual(range(40));
      // The first batch can't know; 8 MiB are ten of these.
      const [, ...later] = fixture.transport.given;
      expect(later.length).toBeGreaterThan(2);
      expect(Math.max(...later)).toBeLessThanOrEqual(10);
    });
  });
}
