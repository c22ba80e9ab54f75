import { describe, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { MessageIds } from './message-ids.js';

const timeOf = (id: string): number => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
const randomPartOf = (id: string): string => id.slice(-10);
const take = (ids: MessageIds, count: number): string[] => Array.from({ length: count }, () => ids.next());

describe('Message ids', () => {
  it('are UUIDs of version 7, with the time in them', () => {
    const before = Date.now();
    const id = new MessageIds().next();
    expect([validate(id), version(id)]).toEqual([true, 7]);
    expect(timeOf(id)).toBeGreaterThanOrEqual(before);
    expect(timeOf(id)).toBeLessThanOrEqual(Date.now());
  });

  it('ascend, also within a millisecond, and when the clock goes back', () => {
    const times = [1_000, 1_001, 1_000, 999];
    const ids: string[] = [];
    let now = 0;
    const one = new MessageIds(() => now);
    for (const time of times) {
      now = time;
      ids.push(...take(one, 300));
    }
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(1_200);
  });

  it('have random bytes of their own', () => {
    const ids = [...take(new MessageIds(), 500), ...take(new MessageIds(), 500)];
    expect(new Set(ids.map(randomPartOf)).size).toBe(1_000);
  });

  it('begin at a random place in each millisecond', () => {
    let now = 0;
    const one = new MessageIds(() => (now += 1));
    expect(new Set(take(one, 300).map((id) => id.slice(14, 23))).size).toBeGreaterThan(290);
  });
});
