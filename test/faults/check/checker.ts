import { checkArrivals } from './check-arrivals.ts';
import { checkDuplicates } from './check-duplicates.ts';
import { checkLeases, tenuresOf } from './check-leases.ts';
import { checkOrder } from './check-order.ts';
import type { Evidence, Violation } from './evidence.ts';
import { handoversOf, type Handovers } from './handovers.ts';

export interface Verdict extends Handovers {
  readonly committed: number;
  readonly arrived: number;
  readonly deadLettered: number;
  /** By what explains them. */
  readonly duplicates: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

/** Compares what was committed with what has arrived, and explains the difference, or finds that nothing does. */
export function check(evidence: Evidence): Verdict {
  const { violations, explained } = checkDuplicates(evidence);
  return {
    committed: evidence.committed.length,
    arrived: evidence.arrivals.length,
    deadLettered: evidence.deadLetters.length,
    duplicates: explained,
    violations: [
      ...checkArrivals(evidence),
      ...checkOrder(evidence.arrivals),
      ...violations,
      ...checkLeases(evidence),
    ],
    ...handoversOf(tenuresOf(evidence)),
  };
}
