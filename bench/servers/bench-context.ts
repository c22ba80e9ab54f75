import type { DatabaseAddress } from './outbox-database.ts';

/** What a benchmark is given. */
export interface BenchContext {
  readonly runs: number;
  readonly database: DatabaseAddress;
  readonly brokers: string[];
  readonly progress: (text: string) => void;
}
