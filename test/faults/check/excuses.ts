import type { FaultWindow } from '../history/records.ts';
import type { FaultKind } from '../plan/fault.ts';

/**
 * Faults after which a message may come twice, or a lease be lost: what was in flight can't be known to have arrived, or to
 * be deleted. Not among them: orderly ends, newcomers, a wrong clock, slowness, deadlocks, refusals, and whatever happens
 * to writers.
 */
const EXCUSING: ReadonlySet<FaultKind> = new Set([
  'kill-relay',
  'freeze-relay',
  'restart-broker',
  'broker-outage',
  'restart-database',
  'cut',
  'stall',
] satisfies FaultKind[]);

/** How long a fault has effects after it is over: until clients are connected again, and what they wait for is over. */
const GRACE_MS = 2_500;

/** The faults of a run, as reasons for what should not happen. */
export class Excuses {
  readonly #faults: readonly FaultWindow[];

  constructor(faults: readonly FaultWindow[]) {
    this.#faults = faults.filter(({ kind }) => EXCUSING.has(kind));
  }

  /** The fault that was there at a time from `start` to `end`, and has hit one of these processes or servers. */
  find(touched: readonly string[], start: number, end: number): FaultKind | undefined {
    return this.#faults.find(
      ({ from, to, touches }) =>
        from <= end && to + GRACE_MS >= start && touches.some((name) => touched.includes(name)),
    )?.kind;
  }

  /** Whether at every moment from `start` to `end` there was, or had just been, a fault that has hit one of these. */
  cover(touched: readonly string[], start: number, end: number): boolean {
    const own = this.#faults.filter(({ touches }) => touches.some((name) => touched.includes(name)));
    let covered = start;
    for (const { from, to } of own.toSorted((a, b) => a.from - b.from)) {
      if (from <= covered) covered = Math.max(covered, to + GRACE_MS);
    }
    return covered >= end;
  }
}
