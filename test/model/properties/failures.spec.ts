import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs, Breaker, type RelayClock } from '../relay-internals.ts';

const options = fc
  .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 0, max: 1_000_000 }))
  .map(([minBackoffMs, more]) => ({ minBackoffMs, maxBackoffMs: minBackoffMs + more }));
const failures = fc.integer({ min: 1, max: 5_000 });
const below1 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('A backoff', () => {
  it('is at least a millisecond, and never over its ceiling or the longest one', () => {
    fc.assert(
      fc.property(failures, options, below1, (count, limits, drawn) => {
        const delayMs = backoffMs(count, limits, () => drawn);
        const ceiling = Math.min(limits.maxBackoffMs, limits.minBackoffMs * 2 ** (count - 1));
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(1);
        expect(delayMs).toBeLessThanOrEqual(Math.max(1, ceiling));
      }),
    );
  });

  it('is anything up to the ceiling, as the draw goes (full jitter)', () => {
    fc.assert(
      fc.property(failures, options, (count, limits) => {
        const ceiling = Math.min(limits.maxBackoffMs, limits.minBackoffMs * 2 ** (count - 1));
        expect(backoffMs(count, limits, () => 0)).toBe(1);
        expect(backoffMs(count, limits, () => 0.5)).toBe(Math.max(1, Math.round(ceiling / 2)));
        expect(backoffMs(count, limits, () => 1 - 1e-9)).toBeGreaterThanOrEqual(Math.floor(ceiling * 0.99));
      }),
    );
  });

  it('never gets shorter with more failures, for the same draw', () => {
    fc.assert(
      fc.property(failures, options, below1, (count, limits, drawn) => {
        const draw = (): number => drawn;
        expect(backoffMs(count + 1, limits, draw)).toBeGreaterThanOrEqual(backoffMs(count, limits, draw));
      }),
    );
  });
});

/** Keeps the one timer that a breaker may have. */
class OneTimer implements RelayClock {
  callback: (() => void) | undefined;
  delayMs = 0;

  now(): number {
    return 0;
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    expect(this.callback).toBeUndefined();
    this.callback = callback;
    this.delayMs = delayMs;
    return () => (this.callback = undefined);
  }

  fire(): void {
    const { callback } = this;
    this.callback = undefined;
    callback?.();
  }
}

describe('A breaker', () => {
  const events = fc.array(fc.constantFrom('success', 'failure', 'time'), { maxLength: 30 });

  it('is open after a failure until its time is over, and closed only by a success', () => {
    fc.assert(
      fc.property(events, options, (happenings, limits) => {
        const clock = new OneTimer();
        let probes = 0;
        const breaker = new Breaker(
          limits,
          clock,
          () => 0.5,
          () => probes++,
        );
        let expected = { state: 'closed', failures: 0, probes: 0 };
        for (const happening of happenings) {
          if (happening === 'success') breaker.recordSuccess();
          if (happening === 'failure') breaker.recordFailure('destination', new Error('away'));
          if (happening === 'time') clock.fire();
          expected = next(expected, happening);
          expect({ state: breaker.state, failures: breaker.failures, probes }).toEqual(expected);
          // It can always get on: by a probe that is under way, or by the timer of the next one.
          expect(clock.callback !== undefined).toBe(breaker.state === 'open');
          expect(clock.delayMs).toBeLessThanOrEqual(limits.maxBackoffMs);
        }
      }),
    );
  });
});

interface BreakerState {
  readonly state: string;
  readonly failures: number;
  readonly probes: number;
}

function next({ state, failures, probes }: BreakerState, happening: string): BreakerState {
  if (happening === 'success') return { state: 'closed', failures: 0, probes };
  if (happening === 'failure') return { state: 'open', failures: failures + 1, probes };
  return state === 'open'
    ? { state: 'half-open', failures, probes: probes + 1 }
    : { state, failures, probes };
}
