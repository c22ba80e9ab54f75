import type { Target, Unit } from './measurement.ts';
import type { BenchmarkReport, ReportLine } from './report.ts';
import { summarize } from './statistics.ts';

export const COLUMNS = ['work', 'median', 'min', 'max', 'floor', 'ratio', 'min', 'max', 'target'];

/** After the decimal point. */
const DIGITS: Readonly<Record<Unit, number>> = {
  'msg/s': 0,
  'tx/s': 0,
  'calls/s': 0,
  'µs/msg': 1,
  µs: 2,
  ms: 2,
  MB: 0,
  '%': 0,
  statements: 1,
  'statements/s': 2,
};

/** For a terminal. */
export function tableOf(reports: readonly BenchmarkReport[]): string {
  const lines = reports.flatMap((report) => report.lines);
  const rows = [COLUMNS, ...lines.map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const [header, ...body] = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  '),
  );
  const notes = floorsOf(lines).map((what) => `floor: ${what}`);
  return [header!, '-'.repeat(header!.length), ...body, '', ...notes].join('\n');
}

/** What the floors of these lines are, each once. */
export function floorsOf(lines: readonly ReportLine[]): string[] {
  return [...new Set(lines.flatMap(({ floor }) => (floor ? [floor.what] : [])))];
}

/** In the order of {@link COLUMNS}. */
export function cellsOf({ work, unit, median, min, max, floor, ratio, target, isMet }: ReportLine): string[] {
  const number = (value: number): string => format(value, unit);
  return [
    work,
    `${number(median)} ${unit}`,
    number(min),
    number(max),
    floor ? number(summarize(floor.values).median) : '',
    ...(ratio ? [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2)) : ['', '', '']),
    target ? `${describe(target, unit)}: ${isMet ? 'met' : 'MISSED'}` : '',
  ];
}

function describe({ kind, value }: Target, unit: Unit): string {
  if (kind === 'ratio at least') return `>= ${value} x floor`;
  if (kind === 'ratio at most') return `<= ${value} x floor`;
  if (kind === 'floor plus') return `<= floor + ${format(value, unit)}`;
  return `${kind === 'under' ? '<' : '>='} ${format(value, unit)}`;
}

function format(value: number, unit: Unit): string {
  return value.toLocaleString('en', { maximumFractionDigits: DIGITS[unit] });
}
