import { withoutPassword } from '../services/service.ts';
import type { FoundService, MissingService, ServiceName } from '../services/service.ts';
import type { JestRun } from './jest-process.ts';
import type { SkippedSuite } from './outcome.ts';

export interface RunReport {
  readonly found: readonly FoundService[];
  readonly missing: readonly MissingService[];
  /** Left out on the command line. */
  readonly leftOut: readonly ServiceName[];
  /** Undefined if Jest was not started. */
  readonly jest: JestRun | undefined;
}

/** The closing lines of a run; the last one is read by machines. */
export function summaryOf(report: RunReport): string {
  const lines = ['', 'Services', ...serviceLines(report), ...skippedLines(report), ...leakLines(report.jest)];
  return [...lines, '', totals(report)].join('\n');
}

/** A run fails with a test, with Jest, and with something left open. */
export function hasFailed({ jest }: RunReport): boolean {
  return jest?.exitCode !== 0 || failures(jest) > 0;
}

function serviceLines({ found, missing, leftOut }: RunReport): string[] {
  return [
    ...found.map(({ name, url, source, tookMs }) =>
      line(name, `${withoutPassword(url)} (${source}, ${seconds(tookMs)})`),
    ),
    ...missing.map(({ name, reason }) => line(name, `missing: ${reason}`)),
    ...leftOut.map((name) => line(name, 'left out on the command line')),
  ];
}

function skippedLines({ jest, missing, leftOut }: RunReport): string[] {
  const suites = jest?.outcome?.skippedSuites ?? [];
  if (suites.length === 0) return [];
  const reasons = new Map<string, string>(missing.map(({ name, reason }) => [name, firstLine(reason)]));
  for (const name of leftOut) reasons.set(name, 'left out on the command line');
  return [
    '',
    'Skipped',
    ...suites.map((suite) => `  ${suite.file}: ${suite.name}: ${reasonFor(suite, reasons)}`),
  ];
}

function reasonFor({ name }: SkippedSuite, reasons: ReadonlyMap<string, string>): string {
  const needs = /\[needs (.+)\]$/.exec(name)?.[1]?.split(', ');
  if (!needs) return 'skipped in its source or by -t';
  return needs
    .map((service) => `${service} ${reasons.get(service) ?? 'is not in the environment'}`)
    .join('; ');
}

/** What went wrong around the tests: Jest did not exit, or it fell over something that was left open. */
function leakLines(jest: JestRun | undefined): string[] {
  if (!jest?.outcome || failures(jest) === jest.outcome.failed) return [];
  const files = jest.outcome.leaks.map(({ file, open }) => `  ${file}: ${counted(open)}`);
  const suspects = files.length > 0 ? ['More was open after these files than before:', ...files] : [];
  const what = jest.killed ?? `Jest ended with code ${jest.exitCode}, though no test failed.`;
  return ['', what, ...suspects, 'To see where: npm test -- --detectOpenHandles FILE'];
}

/** `TCPSocketWrap, Timeout (14)` */
function counted(kinds: readonly string[]): string {
  const counts = [...new Set(kinds)].map(
    (kind) => [kind, kinds.filter((other) => other === kind).length] as const,
  );
  return counts.map(([kind, count]) => (count > 1 ? `${kind} (${count})` : kind)).join(', ');
}

function totals({ jest, missing }: RunReport): string {
  const { passed, skipped } = jest?.outcome ?? { passed: 0, skipped: 0 };
  const failed = jest ? failures(jest) : missing.length;
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** What went wrong outside any test counts as one, so that a failed run never says "0 failed". */
function failures({ outcome, exitCode, killed }: JestRun): number {
  const failed = outcome?.failed ?? 0;
  if (killed) return failed + 1;
  return failed === 0 && exitCode !== 0 ? 1 : failed;
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(10)} ${text}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
