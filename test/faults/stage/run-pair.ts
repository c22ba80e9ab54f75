import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Verdict } from '../check/checker.ts';
import type { Evidence, Trace } from '../check/evidence.ts';
import { readLog } from '../history/event-log.ts';
import type { RelayRecord, WriterRecord } from '../history/records.ts';
import { inject } from '../injector/injector.ts';
import { becomes } from '../injector/targets.ts';
import { describeFault } from '../plan/describe-plan.ts';
import type { PairName, PlannedFault } from '../plan/fault.ts';
import type { WriterCommand } from '../processes/settings.ts';
import { Stage } from './stage.ts';

const RELAYS = 3;
const WRITERS = 2;
const BOOT_LIMIT_MS = 30_000;
const WRITERS_LIMIT_MS = 30_000;
/** Retries of what was refused, and what waits behind it, included. */
const DRAIN_LIMIT_MS = 90_000;
const POLL_MS = 500;

export interface PairRun {
  readonly pair: PairName;
  readonly minutes: number;
  readonly plan: readonly PlannedFault[];
  /** For everything that the run writes. */
  readonly directory: string;
  readonly tell: (text: string) => void;
}

export interface PairResult {
  readonly verdict: Verdict;
  readonly evidence: Evidence;
  /** What went wrong beside what the checker sees. */
  readonly incidents: readonly string[];
  /** Transactions that were rolled back on purpose, or whose outcome no writer knows. */
  readonly rolledBack: number;
  readonly unknown: number;
  readonly drainMs: number;
  readonly deadlocks: number;
}

/** One run on a pair of servers: work, faults, healing, the collection of what has arrived, and the verdict. */
export async function runPair(run: PairRun): Promise<PairResult> {
  const { plan, tell } = run;
  tell('starting servers');
  const stage = await Stage.open(run.pair, run.directory);
  try {
    await stage.prepare(plan);
    const actors = [...Array<'relay'>(RELAYS).fill('relay'), ...Array<'writer'>(WRITERS).fill('writer')];
    for (const role of actors) await stage.start(role);
    await allReady(stage);
    tell(`${RELAYS} relays, ${WRITERS} writers`);
    const enough = sleep(run.minutes * 60_000);
    await inject(stage, plan, (fault) => tell(describeFault(fault)));
    await enough;
    const drainMs = await settle(stage, tell);
    const evidence = await collect(stage);
    const outcomes = stage.writerNames.flatMap((name) => readLog<WriterRecord>(stage.historyFile(name)));
    return {
      verdict: check(evidence),
      evidence,
      incidents: stage.incidents,
      rolledBack: outcomes.filter(({ outcome }) => outcome === 'rolled back').length,
      unknown: outcomes.filter(({ outcome }) => outcome === 'unknown').length,
      drainMs,
      deadlocks: stage.deadlocks,
    };
  } catch (error) {
    const incidents = stage.incidents.map((text) => `\n  incident: ${text}`);
    throw new Error(`The run was broken off.${incidents.join('')}`, { cause: error });
  } finally {
    await stage.close();
  }
}

/** Lets the writers finish, one more relay join, the outbox drain, and the relays leave. @returns how long it drained */
async function settle(stage: Stage, tell: (text: string) => void): Promise<number> {
  tell('healed; writers stop');
  const stop: WriterCommand = { command: 'stop' };
  const leaving = stage.actors('writer').map(({ child }) => child.leave(() => child.send(stop)));
  for (const left of await Promise.allSettled(leaving)) {
    if (left.status === 'rejected') stage.incidents.push(String(left.reason));
  }
  await becomes(() => stage.actors('writer').length === 0, WRITERS_LIMIT_MS);
  await stage.start('relay');
  await allReady(stage);
  const startedAt = performance.now();
  let pending = await stage.database.pending();
  tell(`${pending} entries wait`);
  while (pending > 0 && performance.now() - startedAt < DRAIN_LIMIT_MS) {
    await sleep(POLL_MS);
    pending = await stage.database.pending();
  }
  if (pending > 0)
    stage.incidents.push(`the outbox does not drain: ${pending} entries after ${DRAIN_LIMIT_MS} ms`);
  const drainMs = performance.now() - startedAt;
  tell('relays leave');
  for (const { child } of stage.actors('relay')) {
    await child.leave().catch((error: unknown) => stage.incidents.push(String(error)));
  }
  return drainMs;
}

async function allReady(stage: Stage): Promise<void> {
  const isReady = await becomes(() => stage.all().every(({ child }) => child.isReady), BOOT_LIMIT_MS);
  if (isReady) return;
  const missing = stage.all().filter(({ child }) => !child.isReady);
  stage.incidents.push(
    `${missing.map(({ child }) => child.name).join(', ')}: not ready in ${BOOT_LIMIT_MS} ms`,
  );
}

async function collect(stage: Stage): Promise<Evidence> {
  const [committed, deadLetters, arrivals] = await Promise.all([
    stage.database.truth(),
    stage.database.deadLetters(),
    stage.broker.arrivals(),
  ]);
  const traces = stage.relayNames.flatMap((name) =>
    readLog<RelayRecord>(stage.historyFile(name)).map((record): Trace => ({ ...record, process: name })),
  );
  const writers = stage.writerNames.flatMap((name) => readLog<WriterRecord>(stage.historyFile(name)));
  return {
    committed,
    acknowledged: writers.flatMap(({ outcome, tokens }) => (outcome === 'committed' ? tokens : [])),
    arrivals,
    deadLetters,
    faults: stage.windows,
    traces: traces.sort((a, b) => a.t - b.t),
    ends: stage.ends,
  };
}
