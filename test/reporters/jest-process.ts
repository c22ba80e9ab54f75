import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endingWithParent } from '../services/parent-death.ts';
import { OUTCOME_FILE_VARIABLE } from './outcome.ts';
import type { Outcome } from './outcome.ts';

/** Long enough for clients that close slowly, short enough to be noticed. */
const EXIT_LIMIT_MS = 20_000;
const RUN_LIMIT_MS = 45 * 60_000;
const POLL_MS = 100;

export interface JestRun {
  /** Undefined if Jest ended before it had results. */
  readonly outcome: Outcome | undefined;
  /** Null if it was killed. */
  readonly exitCode: number | null;
  /** Set if Jest had to be killed: the sentence that says why. */
  readonly killed: string | undefined;
}

/** Runs Jest in a process of its own, and kills it if it does not exit by itself after its results. */
export async function runJest(args: readonly string[], env: NodeJS.ProcessEnv): Promise<JestRun> {
  const scratch = mkdtempSync(join(tmpdir(), 'jest-outcome-'));
  const file = join(scratch, 'outcome.json');
  const [program, ...programArgs] = endingWithParent(
    [process.execPath, ...jestCommand(), ...args],
    'SIGKILL',
  );
  const child = spawn(program!, programArgs, {
    stdio: 'inherit',
    env: { ...env, [OUTCOME_FILE_VARIABLE]: file },
  });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  const over = new AbortController();
  const watch = isWatching(args) ? undefined : killWhenStuck(file, () => child.kill('SIGKILL'), over.signal);
  // On Ctrl-C or an end of this process Jest goes first: it must not see its servers die.
  const kill = () => child.kill('SIGKILL');
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit']) process.once(event, kill);
  try {
    const exitCode = await exit;
    over.abort();
    const outcome = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Outcome) : undefined;
    return { outcome, exitCode, killed: await watch };
  } finally {
    over.abort();
    for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit']) process.off(event, kill);
    rmSync(scratch, { recursive: true, force: true });
  }
}

function jestCommand(): string[] {
  const packageFile = createRequire(import.meta.url).resolve('jest/package.json');
  const flags = ['ExperimentalWarning', 'TimeoutNegativeWarning'].map((kind) => `--disable-warning=${kind}`);
  return ['--experimental-vm-modules', ...flags, join(dirname(packageFile), 'bin/jest.js')];
}

function isWatching(args: readonly string[]): boolean {
  return args.some((arg) => arg.startsWith('--watch'));
}

async function killWhenStuck(file: string, kill: () => void, over: AbortSignal): Promise<string | undefined> {
  const startedAt = Date.now();
  let resultsAt: number | undefined;
  while (!over.aborted) {
    if (existsSync(file)) resultsAt ??= Date.now();
    const reason = stuckReason(startedAt, resultsAt);
    if (reason) {
      kill();
      return reason;
    }
    await sleep(POLL_MS, undefined, { signal: over }).catch(() => undefined);
  }
  return undefined;
}

function stuckReason(startedAt: number, resultsAt: number | undefined): string | undefined {
  if (resultsAt !== undefined && Date.now() - resultsAt > EXIT_LIMIT_MS) {
    return `Jest did not exit within ${EXIT_LIMIT_MS / 1000} s after its results: a test has left something open.`;
  }
  if (Date.now() - startedAt > RUN_LIMIT_MS)
    return `Jest had no results after ${RUN_LIMIT_MS / 60_000} minutes.`;
  return undefined;
}
