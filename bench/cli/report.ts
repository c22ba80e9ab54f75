import { cpus, totalmem } from 'node:os';
import type { BenchArguments } from './arguments.ts';
import type { Measurement } from './measurement.ts';
import { summarize, type Summary } from './statistics.ts';

interface ReportLine extends Measurement, Summary {
  /** Ours divided by the floor, run by run. */
  readonly ratio?: Summary;
}

const COLUMNS = ['work', 'median', 'min', 'max', 'floor', 'ratio', 'min', 'max', 'target'];

/** After the decimal point. */
const DIGITS: Readonly<Record<Measurement['unit'], number>> = {
  'msg/s': 0,
  'tx/s': 0,
  'µs/msg': 1,
  ms: 2,
  MB: 0,
};

export function tableOf(measurements: readonly Measurement[]): string {
  const rows = [COLUMNS, ...measurements.map(lineOf).map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const [header, ...body] = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  '),
  );
  const floors = new Set(measurements.flatMap(({ floor }) => (floor ? [floor.what] : [])));
  const notes = [...floors].map((what) => `floor: ${what}`);
  return [header!, '-'.repeat(header!.length), ...body, '', ...notes].join('\n');
}

export function jsonOf(measurements: readonly Measurement[], settings: BenchArguments): string {
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1024 ** 2),
    node: process.version,
  };
  return JSON.stringify({ machine, settings, results: measurements.map(lineOf) }, undefined, 2);
}

function lineOf(measurement: Measurement): ReportLine {
  const { values, floor } = measurement;
  const ratios = floor?.values.map((value, run) => values[run]! / value);
  return { ...measurement, ...summarize(values), ...(ratios && { ratio: summarize(ratios) }) };
}

function cellsOf({ work, unit, median, min, max, floor, ratio, target }: ReportLine): string[] {
  const digits = DIGITS[unit];
  const number = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: digits });
  return [
    work,
    `${number(median)} ${unit}`,
    number(min),
    number(max),
    floor ? number(summarize(floor.values).median) : '',
    ...(ratio ? [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2)) : ['', '', '']),
    target ? `${target.kind} ${number(target.value)}: ${isMet(target, median) ? 'met' : 'MISSED'}` : '',
  ];
}

function isMet({ kind, value }: NonNullable<Measurement['target']>, measured: number): boolean {
  return kind === 'under' ? measured < value : measured >= value;
}
