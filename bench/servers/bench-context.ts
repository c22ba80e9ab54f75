import type { DatabaseAddress } from './outbox-database.ts';

/** What a benchmark is given. */
export interface BenchContext {
  readonly runs: number;
  /** The size of the backlog of the benchmark with this name. */
  readonly entries: number;
  readonly database: DatabaseAddress;
  readonly brokers: string[];
  readonly progress: (text: string) => void;
}
