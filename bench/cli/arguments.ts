import { parseArgs } from 'node:util';
import { DATABASE_NAMES, type DatabaseName } from '../servers/outbox-database.ts';

export const BENCHMARK_NAMES = ['drain', 'latency', 'memory'] as const;
export type BenchmarkName = (typeof BENCHMARK_NAMES)[number];

export interface BenchArguments {
  readonly only: readonly BenchmarkName[];
  readonly databases: readonly DatabaseName[];
  /** Measured runs of each benchmark, beside the one that warms up. */
  readonly runs: number;
  readonly json: boolean;
}

/** @throws Error that says which argument is wrong and what it may be */
export function parseArguments(args: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: BENCHMARK_NAMES.join(',') },
      database: { type: 'string', default: DATABASE_NAMES.join(',') },
      runs: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: give a positive integer`);
  return {
    only: choice('--only', values.only, BENCHMARK_NAMES),
    databases: choice('--database', values.database, DATABASE_NAMES),
    runs,
    json: values.json,
  };
}

function choice<T extends string>(option: string, value: string, allowed: readonly T[]): T[] {
  const names = value.split(',');
  const unknown = names.filter((name) => !allowed.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`${option} ${unknown.join(',')}: there are ${allowed.join(', ')}`);
  return allowed.filter((name) => names.includes(name));
}
