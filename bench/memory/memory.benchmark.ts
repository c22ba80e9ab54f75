import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { backlog } from '../app/backlog.ts';
import type { Measurement } from '../cli/measurement.ts';
import { median } from '../cli/statistics.ts';
import type { BenchContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';

const SIZE = 100_000;
const MEGABYTE = 1024 ** 2;
const LIMIT_MS = 120_000;
const DRAIN_PROCESS = fileURLToPath(new URL('./drain.process.ts', import.meta.url));

/** In bytes. */
export interface MemorySample {
  readonly rss: number;
  readonly heapUsed: number;
}

/** What a process has to tell; sizes in bytes. */
export interface MemoryReport {
  readonly samples: readonly MemorySample[];
  /** After a garbage collection, before the relay was started and when all was drained. */
  readonly heapBefore: number;
  readonly heapAfter: number;
}

/** What memory an application takes that drains a large backlog: one process for each run, sampled from inside. */
export async function measureMemory(context: BenchContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const runs: MemoryReport[] = [];
  try {
    for (let run = 1; run <= context.runs; run += 1) {
      context.progress(`run ${run} of ${context.runs}, ${SIZE} entries`);
      runs.push(await drainInProcess(context, database));
    }
  } finally {
    await database.drop();
  }
  const { name } = context.database;
  const sampled = (['rss', 'heapUsed'] as const).flatMap((kind) => measurementsOf(kind, runs, name));
  return [...sampled, retained(runs, name)];
}

async function drainInProcess(context: BenchContext, database: OutboxDatabase): Promise<MemoryReport> {
  const topic = await KafkaTopic.create(context.brokers);
  try {
    const commit = await database.insert(backlog(SIZE, topic.name));
    await commit();
    const { name, url } = context.database;
    const args = [
      '--expose-gc',
      DRAIN_PROCESS,
      name,
      url,
      database.ormOptions.dbName!,
      context.brokers.join(','),
    ];
    const limits = { timeout: LIMIT_MS, maxBuffer: 64 * MEGABYTE };
    const { stdout } = await promisify(execFile)(process.execPath, args, limits);
    const [left, written] = [await database.count(), await topic.written()];
    if (left !== 0 || written !== SIZE) {
      throw new Error(`The run is not valid: of ${SIZE} entries ${left} are left, and Kafka has ${written}.`);
    }
    return JSON.parse(stdout) as MemoryReport;
  } finally {
    await topic.drop();
    await database.settle();
  }
}

function measurementsOf(
  kind: keyof MemorySample,
  runs: readonly MemoryReport[],
  database: string,
): Measurement[] {
  const series = runs.map(({ samples }) => samples.map((sample) => sample[kind] / MEGABYTE));
  return [
    {
      work: `drain ${SIZE}, ${kind}, last third, ${database}`,
      unit: 'MB',
      values: series.map((values) => median(values.slice(-Math.ceil(values.length / 3)))),
      floor: {
        what: 'memory: the median of the first third of the same run',
        values: series.map((values) => median(values.slice(0, Math.ceil(values.length / 3)))),
      },
    },
    {
      work: `drain ${SIZE}, ${kind}, max, ${database}`,
      unit: 'MB',
      values: series.map((values) => Math.max(...values)),
    },
  ];
}

/** A leak shows here, whatever the garbage collector did meanwhile. */
function retained(runs: readonly MemoryReport[], database: string): Measurement {
  return {
    work: `drain ${SIZE}, heap in use after it, ${database}`,
    unit: 'MB',
    values: runs.map(({ heapAfter }) => heapAfter / MEGABYTE),
    floor: {
      what: 'memory, heap in use: the same before the drain',
      values: runs.map(({ heapBefore }) => heapBefore / MEGABYTE),
    },
  };
}
