import { describe, expect, it } from '@jest/globals';
import { slotOf, slotsOf } from '@cqrs-outbox/core';
import fc from 'fast-check';
import { fairShare } from '../relay-internals.ts';

const slotCounts = fc.integer({ min: 1, max: 256 });
const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 40 });

describe('The slot of a key', () => {
  it('is one of the slots of its count, and always the same', () => {
    fc.assert(
      fc.property(fc.string(), slotCounts, (key, slotCount) => {
        const { first, last } = slotsOf(slotCount);
        const slot = slotOf(key, slotCount);
        expect(slot).toBeGreaterThanOrEqual(first);
        expect(slot).toBeLessThanOrEqual(last);
        expect(slotOf(key, slotCount)).toBe(slot);
      }),
    );
  });

  it('is never 0, nor one of another count', () => {
    fc.assert(
      fc.property(slotCounts, slotCounts, (one, other) => {
        const [a, b] = [slotsOf(one), slotsOf(other)];
        expect(a.first).toBeGreaterThan(0);
        expect(a.last - a.first + 1).toBe(one);
        if (one !== other) expect(a.last < b.first || b.last < a.first).toBe(true);
      }),
    );
  });

  it('can be each of the slots, and none has far more keys than its share', () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `order-${index}`);
    for (const slotCount of [1, 2, 3, 16, 64, 256]) {
      const counts = Map.groupBy(keys, (key) => slotOf(key, slotCount));
      const sizes = [...counts.values()].map(({ length }) => length);
      expect(counts.size).toBe(slotCount);
      expect(Math.max(...sizes)).toBeLessThan((2 * keys.length) / slotCount);
    }
  });
});

describe('The fair share of an instance', () => {
  it('adds up to all slots, and differs by one at most', () => {
    fc.assert(
      fc.property(slotCounts, names, (slotCount, instances) => {
        const shares = instances.map((instance) => fairShare(slotCount, instances, instance));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(slotCount);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('is nothing for one that is not there', () => {
    fc.assert(
      fc.property(slotCounts, names, (slotCount, instances) => {
        expect(fairShare(slotCount, instances, 'a name that is too long to be there')).toBe(0);
        expect(fairShare(slotCount, [], 'anyone')).toBe(0);
      }),
    );
  });
});
