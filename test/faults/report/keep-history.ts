import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICES_DIRECTORY } from '../../services/run-directory.ts';
import { describePlan } from '../plan/describe-plan.ts';
import type { PairResult, PairRun } from '../stage/run-pair.ts';

/** Copies all that a run has written, and the servers' logs. @returns the directory, which outlasts the run */
export function keepHistory(run: PairRun, seed: number, result?: PairResult, table?: string): string {
  const kept = join(
    SERVICES_DIRECTORY,
    'faults',
    `${run.pair}-seed-${seed}-${new Date().toISOString().replaceAll(':', '')}`,
  );
  mkdirSync(kept, { recursive: true });
  cpSync(join(run.directory, 'history'), kept, { recursive: true });
  for (const server of readdirSync(run.directory)) {
    const log = join(run.directory, server, 'server.log');
    if (existsSync(log)) copyFileSync(log, join(kept, `${server}.log`));
  }
  writeFileSync(join(kept, 'plan.txt'), `${describePlan(run.plan)}\n`);
  if (!result) return kept;
  const { committed, arrivals, deadLetters } = result.evidence;
  for (const [name, records] of Object.entries({ committed, arrivals, deadLetters })) {
    writeFileSync(
      join(kept, `${name}.jsonl`),
      records.map((record) => `${JSON.stringify(record)}\n`).join(''),
    );
  }
  const violations = result.verdict.violations.map(({ kind, text }) => `${kind}: ${text}\n`);
  writeFileSync(join(kept, 'violations.txt'), violations.join(''));
  if (table) writeFileSync(join(kept, 'table.txt'), `${table}\n`);
  return kept;
}
