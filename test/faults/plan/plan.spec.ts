import { describe, expect, it } from '@jest/globals';
import { FAULT_KINDS } from './fault.ts';
import { planOf } from './plan.ts';
import { Random } from './random.ts';

const settings = { pair: 'mariadb-kafka', seed: 7, minutes: 3 } as const;

describe('planOf', () => {
  it('is the same for the same seed', () => {
    expect(planOf(settings)).toEqual(planOf(settings));
  });

  it('differs with the seed, and between the pairs', () => {
    expect(planOf({ ...settings, seed: 8 })).not.toEqual(planOf(settings));
    expect(planOf({ ...settings, pair: 'postgres-rabbitmq' })).not.toEqual(planOf(settings));
  });

  it('has every kind before any comes a second time', () => {
    const kinds = planOf(settings).map(({ kind }) => kind);
    expect(kinds.length).toBeGreaterThanOrEqual(FAULT_KINDS.length);
    expect(new Set(kinds.slice(0, FAULT_KINDS.length))).toEqual(new Set(FAULT_KINDS));
  });

  it('has every kind in three minutes, whatever the seed', () => {
    for (let seed = 0; seed < 200; seed++) {
      const kinds = new Set(planOf({ ...settings, seed }).map(({ kind }) => kind));
      expect([...FAULT_KINDS].filter((kind) => !kinds.has(kind))).toEqual([]);
    }
  });

  it('begins in the order of its lines, and ends within its time', () => {
    const plan = planOf(settings);
    expect(plan.map(({ atMs }) => atMs)).toEqual(plan.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
    expect(Math.max(...plan.map(({ atMs, forMs }) => atMs + forMs))).toBeLessThanOrEqual(3 * 60_000);
  });

  it('has outages of a minute in a long run', () => {
    const outages = (minutes: number) =>
      planOf({ ...settings, minutes }).filter(({ kind }) => kind === 'broker-outage');
    expect(outages(30).every(({ forMs }) => forMs === 60_000)).toBe(true);
    expect(outages(30).length).toBeGreaterThan(1);
    expect(outages(3).every(({ forMs }) => forMs < 10_000)).toBe(true);
  });

  it('has only the kinds that were asked for', () => {
    const kinds = planOf({ ...settings, kinds: ['kill-relay', 'cut'] }).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(['kill-relay', 'cut']));
  });

  it('never has RabbitMQ refuse a message for its size', () => {
    const plan = planOf({ ...settings, pair: 'postgres-rabbitmq', minutes: 60 });
    expect(plan.filter(({ kind }) => kind === 'poison').every(({ poison }) => poison === 'no route')).toBe(
      true,
    );
  });
});

describe('Random', () => {
  it('draws every number of a range, and only those', () => {
    const random = new Random(1);
    const drawn = new Set(Array.from({ length: 200 }, () => random.integer(3, 6)));
    expect([...drawn].sort()).toEqual([3, 4, 5, 6]);
  });

  it('shuffles without losing any', () => {
    const items = Array.from({ length: 20 }, (_, index) => index);
    const shuffled = new Random(3).shuffled(items);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
  });
});
