import { renameSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AggregatedResult, Reporter, Test, TestResult } from '@jest/reporters';
import { OUTCOME_FILE_VARIABLE } from './outcome.ts';
import type { Leak, Outcome, SkippedSuite } from './outcome.ts';

/** A socket that was closed is still there for a moment. */
const CLOSING_MS = 100;

/** Hands the results to test/run.mjs. Jest's own JSON output would not say which test files leak. */
export default class OutcomeReporter implements Pick<
  Reporter,
  'onTestFileStart' | 'onTestFileResult' | 'onRunComplete'
> {
  readonly #leaks: Leak[] = [];
  #openBefore: readonly string[] = [];

  onTestFileStart(): void {
    this.#openBefore = process.getActiveResourcesInfo();
  }

  /** Tests run in this very process (`maxWorkers: 1`), so what is open now is what the file has left open. */
  async onTestFileResult(test: Test): Promise<void> {
    if (this.#openedSince().length === 0) return;
    await sleep(CLOSING_MS);
    const open = this.#openedSince();
    if (open.length > 0) this.#leaks.push({ file: shortPath(test.path), open });
  }

  onRunComplete(_contexts: unknown, results: AggregatedResult): void {
    const file = process.env[OUTCOME_FILE_VARIABLE];
    if (!file) return;
    writeFileSync(`${file}.part`, JSON.stringify(outcomeOf(results, this.#leaks)));
    // test/run.mjs waits for the file: it has to appear in one piece.
    renameSync(`${file}.part`, file);
  }

  #openedSince(): string[] {
    return added(this.#openBefore, process.getActiveResourcesInfo());
  }
}

function outcomeOf(results: AggregatedResult, leaks: readonly Leak[]): Outcome {
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests + results.numTodoTests,
    skippedSuites: results.testResults.flatMap(skippedIn),
    leaks,
  };
}

/** The outermost suites of skipped tests, each once. */
function skippedIn({ testFilePath, testResults }: TestResult): SkippedSuite[] {
  const skipped = testResults.filter(({ status }) => status === 'pending' || status === 'todo');
  const names = new Set(skipped.map(({ ancestorTitles, title }) => ancestorTitles[0] ?? title));
  return [...names].map((name) => ({ file: shortPath(testFilePath), name }));
}

function added(before: readonly string[], after: readonly string[]): string[] {
  const rest = [...after];
  for (const kind of before) {
    const at = rest.indexOf(kind);
    if (at >= 0) rest.splice(at, 1);
  }
  return rest;
}

function shortPath(path: string): string {
  return relative(process.cwd(), path);
}
