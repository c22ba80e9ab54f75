import { VIOLATION_KINDS } from '../check/evidence.ts';
import type { PairResult } from '../stage/run-pair.ts';

/** Violations of one kind that are printed in full. */
const SHOWN = 5;

/** Whether a run has kept all promises. */
export function hasPassed({ verdict, incidents }: PairResult): boolean {
  return verdict.violations.length === 0 && incidents.length === 0;
}

/** What has happened in a run, as lines of a table. */
export function tableOf(title: string, result: PairResult): string {
  const { verdict, evidence } = result;
  const faults = countsOf(evidence.faults.map(({ kind }) => kind));
  const broken = countsOf(verdict.violations.map(({ kind }) => kind));
  const duplicates = [...verdict.duplicates.values()].reduce((sum, count) => sum + count, 0);
  const rows: [string, string][] = [
    ['faults', String(evidence.faults.length)],
    ...detailsOf(faults),
    ['deadlocks provoked', String(result.deadlocks)],
    ['transactions rolled back', String(result.rolledBack)],
    ['transactions of unknown outcome', String(result.unknown)],
    ['events committed', String(verdict.committed)],
    ['messages arrived', String(verdict.arrived)],
    ['dead letters', String(verdict.deadLettered)],
    ['duplicates', String(duplicates)],
    ...detailsOf(verdict.duplicates),
    ...VIOLATION_KINDS.map((kind): [string, string] => [kind, String(broken.get(kind) ?? 0)]),
    ['longest hand-over', milliseconds(verdict.longestHandoverMs)],
    ['longest takeover after a death', milliseconds(verdict.longestTakeoverMs)],
    ['drained after', milliseconds(result.drainMs)],
    ['incidents', String(result.incidents.length)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value.padStart(8)}`);
  return [title, '-'.repeat(width + 10), ...lines, ...complaintsOf(result)].join('\n');
}

function complaintsOf({ verdict, incidents }: PairResult): string[] {
  const texts = [...Map.groupBy(verdict.violations, ({ kind }) => kind)].flatMap(([kind, violations]) => [
    ...violations.slice(0, SHOWN).map(({ text }) => `${kind}: ${text}`),
    ...(violations.length > SHOWN ? [`${kind}: ... and ${violations.length - SHOWN} more`] : []),
  ]);
  return [...texts, ...incidents.map((text) => `incident: ${text}`)];
}

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function detailsOf(counts: ReadonlyMap<string, number>): [string, string][] {
  return [...counts].sort().map(([name, count]) => [`  ${name}`, String(count)]);
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(0)} ms`;
}
