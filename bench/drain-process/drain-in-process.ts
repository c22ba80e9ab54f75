import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fill } from '../app/backlog.ts';
import type { KafkaClientName } from '../app/kafka-option.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import type { DrainReport } from './drain-report.ts';

const DRAIN_PROCESS = fileURLToPath(new URL('./drain.process.ts', import.meta.url));
const MAX_OUTPUT_BYTES = 256 * 1024 ** 2;
/** How long a process may take: to start, and for each entry. */
const START_LIMIT_MS = 60_000;
const ENTRY_LIMIT_MS = 1;

/** What is drained with. */
export interface ProcessKind {
  readonly client: KafkaClientName;
  /** Of Node. */
  readonly flags: readonly string[];
}

/** Has one new process for each run drain a backlog to Kafka. @throws Error when a run was not valid */
export async function drainInProcesses(
  context: DatabaseContext,
  size: number,
  { client, flags }: ProcessKind,
): Promise<DrainReport[]> {
  const database = await createOutboxDatabase(context.database);
  const reports: DrainReport[] = [];
  try {
    for (let run = 1; run <= context.runs; run += 1) {
      const progress = (what: string): void => {
        context.progress(`${client}, run ${run} of ${context.runs}, ${what} ${size} entries`);
      };
      reports.push(await drainInProcess({ ...context, progress }, database, size, { client, flags }));
    }
  } finally {
    await database.drop();
  }
  return reports;
}

async function drainInProcess(
  context: DatabaseContext,
  database: OutboxDatabase,
  size: number,
  kind: ProcessKind,
): Promise<DrainReport> {
  const topic = await KafkaTopic.create(context.brokers);
  try {
    context.progress('inserting');
    await fill(database, size, topic.name);
    context.progress('draining');
    const report = await runProcess(context, database, kind, START_LIMIT_MS + size * ENTRY_LIMIT_MS);
    const [left, written] = [await database.count(), await topic.written()];
    if (left !== 0 || written !== size) {
      throw new Error(`The run is not valid: of ${size} entries ${left} are left, and Kafka has ${written}.`);
    }
    return report;
  } finally {
    await topic.drop();
    await database.settle();
  }
}

async function runProcess(
  context: DatabaseContext,
  database: OutboxDatabase,
  { client, flags }: ProcessKind,
  timeout: number,
): Promise<DrainReport> {
  const { name, url } = context.database;
  const { dbName } = database.ormOptions;
  const args = [
    ...flags,
    '--expose-gc',
    DRAIN_PROCESS,
    name,
    url,
    dbName!,
    context.brokers.join(','),
    client,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    timeout,
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return JSON.parse(stdout) as DrainReport;
}
