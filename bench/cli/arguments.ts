import { parseArgs } from 'node:util';
import { DATABASE_NAMES, type DatabaseName } from '../servers/outbox-database.ts';
import { BENCHMARKS } from './benchmarks.ts';
import type { Benchmark } from './benchmark.ts';

const NAMES = BENCHMARKS.map(({ name }) => name);
const DEFAULT_NAMES = BENCHMARKS.filter(({ isLong }) => !isLong).map(({ name }) => name);

/** The tenth of a backlog must have several batches, or there is nothing to compare. */
const MIN_ENTRIES = 50_000;

export const HELP = `npm run bench -- [options]

  --only NAMES        by comma, of ${NAMES.join(', ')};
                      ${DEFAULT_NAMES.join(', ')} when left out
  --database NAMES    by comma, of ${DATABASE_NAMES.join(', ')}; all when left out
  --runs N            measured runs of each benchmark, 5 when left out
  --entries N         the size of the backlog of --only backlog, 1000000 when left out
  --json              prints JSON instead of a table
  --plot              also writes docs/benchmarks.md and the charts in docs/benchmarks/; what was not
                      measured now stays there as it was
  --help

bench/README.md says what is measured.`;

export interface BenchArguments {
  readonly only: readonly Benchmark[];
  readonly databases: readonly DatabaseName[];
  /** Measured runs of each benchmark, beside the one that warms up. */
  readonly runs: number;
  /** The size of the backlog of the benchmark with this name. */
  readonly entries: number;
  readonly json: boolean;
  readonly plot: boolean;
}

/** @throws Error that says which argument is wrong and what it may be. @returns `help` when that was asked for */
export function parseArguments(args: readonly string[]): BenchArguments | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: DEFAULT_NAMES.join(',') },
      database: { type: 'string', default: DATABASE_NAMES.join(',') },
      runs: { type: 'string', default: '5' },
      entries: { type: 'string', default: '1000000' },
      json: { type: 'boolean', default: false },
      plot: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const only = choice('--only', values.only, NAMES);
  return {
    only: BENCHMARKS.filter(({ name }) => only.includes(name)),
    databases: choice('--database', values.database, DATABASE_NAMES),
    runs: integer('--runs', values.runs, 1),
    entries: integer('--entries', values.entries, MIN_ENTRIES),
    json: values.json,
    plot: values.plot,
  };
}

function integer(option: string, value: string, min: number): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= min) return number;
  throw new Error(`${option} ${value}: give an integer of at least ${min}`);
}

function choice<T extends string>(option: string, value: string, allowed: readonly T[]): T[] {
  const names = value.split(',');
  const unknown = names.filter((name) => !allowed.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`${option} ${unknown.join(',')}: there are ${allowed.join(', ')}`);
  return allowed.filter((name) => names.includes(name));
}
