import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
const HAND_WRITTEN_PROCESS = fileURLToPath(new URL('./hand-written.process.ts', import.meta.url));
/** Entries of the first process. */
const WARM_UP = 1_000;
const MAX_OUTPUT_BYTES = 256 * 1024 ** 2;
/** How long a process may take: to start, and for each entry. */
const START_LIMIT_MS = 60_000;
const ENTRY_LIMIT_MS = 1;

/** What is drained with. */
export interface ProcessKind {
  readonly client: KafkaClientName | 'hand-written loop';
  /** Of Node. */
  readonly flags: readonly string[];
}

/**
 * Has one new process for each run drain a backlog to Kafka. One more before the first leaves its compiled sources to
 * them: TypeScript's compiler, which Node loads for these, would be a part of their memory.
 *
 * @throws Error when a run was not valid
 */
export async function drainInProcesses(
  context: DatabaseContext,
  size: number,
  kind: ProcessKind,
): Promise<DrainReport[]> {
  const database = await createOutboxDatabase(context.database);
  const compileCache = await mkdtemp(join(tmpdir(), 'cqrs-outbox-bench-'));
  const reports: DrainReport[] = [];
  try {
    for (let run = 0; run <= context.runs; run += 1) {
      const which = run === 0 ? 'warming up' : `run ${run} of ${context.runs}`;
      const progress = (what: string): void => context.progress(`${kind.client}, ${which}, ${what}`);
      const entries = run === 0 ? WARM_UP : size;
      const report = await drainInProcess({ ...context, progress }, database, entries, kind, compileCache);
      if (run > 0) reports.push(report);
    }
  } finally {
    await rm(compileCache, { recursive: true });
    await database.drop();
  }
  return reports;
}

async function drainInProcess(
  context: DatabaseContext,
  database: OutboxDatabase,
  size: number,
  kind: ProcessKind,
  compileCache: string,
): Promise<DrainReport> {
  const topic = await KafkaTopic.create(context.brokers);
  try {
    context.progress(`inserting ${size} entries`);
    await fill(database, size, topic.name);
    context.progress(`draining ${size} entries`);
    const args = argumentsOf(context, database, topic, kind);
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      maxBuffer: MAX_OUTPUT_BYTES,
      timeout: START_LIMIT_MS + size * ENTRY_LIMIT_MS,
      // What the first process has made of the sources is there for the others.
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
    });
    const report = JSON.parse(stdout) as DrainReport;
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

function argumentsOf(
  context: DatabaseContext,
  database: OutboxDatabase,
  topic: KafkaTopic,
  { client, flags }: ProcessKind,
): string[] {
  const { name, url } = context.database;
  const source = client === 'hand-written loop' ? HAND_WRITTEN_PROCESS : DRAIN_PROCESS;
  const brokers = context.brokers.join(',');
  return [
    ...flags,
    '--expose-gc',
    source,
    name,
    url,
    database.ormOptions.dbName!,
    brokers,
    topic.name,
    client,
  ];
}
