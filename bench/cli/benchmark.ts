import type { BenchContext, BrokerName, DatabaseContext } from '../servers/bench-context.ts';
import type { DatabaseName } from '../servers/outbox-database.ts';
import type { Measurement } from './measurement.ts';

interface Described {
  /** For `--only`. */
  readonly name: string;
  /** Servers that it needs beside its database. */
  readonly brokers: readonly BrokerName[];
  /** One that takes minutes for each run only runs when it is named. */
  readonly isLong?: true;
}

/** Runs once for each of its databases that was asked for. */
export interface DatabaseBenchmark extends Described {
  readonly databases: readonly DatabaseName[];
  readonly measure: (context: DatabaseContext) => Promise<Measurement[]>;
}

/** Runs once, whatever databases were asked for. */
export interface PlainBenchmark extends Described {
  readonly databases?: undefined;
  readonly measure: (context: BenchContext) => Promise<Measurement[]>;
}

export type Benchmark = DatabaseBenchmark | PlainBenchmark;
