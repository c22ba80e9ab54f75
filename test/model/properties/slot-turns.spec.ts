import { describe, expect, it } from '@jest/globals';
import type { Lease } from '@cqrs-outbox/core';
import fc from 'fast-check';
import { SlotTurns } from '../relay-internals.ts';

/** So many batches may be at work at a time; the relay's own number is 2. */
const BATCHES_AT_ONCE = 2;

const leasesOf = (count: number): Lease[] =>
  Array.from({ length: count }, (_, slot) => ({ slot, owner: 'a', epoch: 1 }));

const events = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant('add' as const), slot: fc.nat(39) }),
    fc.record({ what: fc.constant('take' as const) }),
    fc.record({ what: fc.constant('end' as const), batch: fc.nat(1), full: fc.array(fc.boolean()) }),
  ),
  { maxLength: 80 },
);

describe('The turns of the slots', () => {
  it('never give a slot to two batches, and only those that are ready and leased', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), events, (count, happenings) => {
        const turns = new SlotTurns();
        const leases = leasesOf(count);
        const ready = new Set<number>();
        const batches: Lease[][] = [];
        for (const event of happenings) {
          if (event.what === 'add') {
            turns.add([event.slot]);
            ready.add(event.slot);
          } else if (event.what === 'take' && batches.length < BATCHES_AT_ONCE) {
            const batch = turns.take(leases);
            const busy = batches.flat().map(({ slot }) => slot);
            for (const { slot } of batch) {
              expect(busy).not.toContain(slot);
              expect(ready.delete(slot)).toBe(true);
              expect(slot).toBeLessThan(count);
            }
            if (batch.length > 0) batches.push(batch);
          } else if (event.what === 'end') {
            const [batch] = batches.splice(event.batch, 1);
            if (!batch) continue;
            const again = new Set(batch.filter((_, index) => event.full[index]).map(({ slot }) => slot));
            turns.putBack(batch, again);
            for (const slot of again) ready.add(slot);
          }
        }
        for (const { slot } of leases) {
          const isBusy = batches.flat().some((lease) => lease.slot === slot);
          expect(turns.isBusy(slot)).toBe(isBusy);
        }
      }),
    );
  });

  it('come round: a slot that always has more does not keep another one waiting', () => {
    const cases = fc.tuple(
      fc.integer({ min: 2, max: 100 }),
      fc.array(fc.nat(1), { minLength: 200, maxLength: 200 }),
    );
    fc.assert(
      fc.property(cases, ([count, ends]) => {
        const turns = new SlotTurns();
        const leases = leasesOf(count);
        const waited = new Map(leases.map(({ slot }) => [slot, 0]));
        turns.add(waited.keys());
        const batches: Lease[][] = [];
        for (const end of ends) {
          while (batches.length < BATCHES_AT_ONCE) {
            const batch = turns.take(leases);
            if (batch.length === 0) break;
            batches.push(batch);
            for (const slot of waited.keys()) waited.set(slot, (waited.get(slot) ?? 0) + 1);
            for (const { slot } of batch) waited.set(slot, 0);
          }
          // Either one is done first, and every slot of it has more.
          const [done] = batches.splice(Math.min(end, batches.length - 1), 1);
          if (done) turns.putBack(done, new Set(done.map(({ slot }) => slot)));
          for (const { slot } of done ?? []) waited.set(slot, 0);
          // A batch has half of the slots that wait, and 32 at most.
          const busy = new Set(batches.flat().map(({ slot }) => slot));
          const longest = Math.max(
            ...[...waited].filter(([slot]) => !busy.has(slot)).map(([, batchCount]) => batchCount),
          );
          expect(longest).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(count) + count / 32));
        }
      }),
    );
  });
});
