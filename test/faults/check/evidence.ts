import type { Arrival, EventFacts, FaultWindow, RelayRecord } from '../history/records.ts';

/** A relay's record, with its process. */
export type Trace = RelayRecord & { readonly process: string; readonly t: number };

/** All that the checker looks at. */
export interface Evidence {
  /** The business table: what was committed. */
  readonly committed: readonly EventFacts[];
  /** Tokens of the events whose commit a writer was told of. */
  readonly acknowledged: readonly string[];
  readonly arrivals: readonly Arrival[];
  /** Tokens of the events that were given up. */
  readonly deadLetters: readonly string[];
  readonly faults: readonly FaultWindow[];
  /** In the order of time. */
  readonly traces: readonly Trace[];
  /** When the processes of relays ended, by name. */
  readonly ends: ReadonlyMap<string, number>;
}

/** A broken promise. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly text: string;
}

export const VIOLATION_KINDS = [
  'lost',
  'out of order',
  'invented',
  'unexplained duplicate',
  'wrong dead letter',
  'two owners',
  'database lost',
] as const;
export type ViolationKind = (typeof VIOLATION_KINDS)[number];
