import type { Measurement, Target } from './measurement.ts';
import { summarize, type Summary } from './statistics.ts';

/** A measurement with what is made of it. */
export interface ReportLine extends Measurement, Summary {
  /** Ours divided by the floor, run by run. */
  readonly ratio?: Summary;
  /** Undefined where nothing is wanted. */
  readonly isMet?: boolean;
}

/** What a benchmark has to say. */
export interface BenchmarkReport {
  readonly name: string;
  /** What was typed. */
  readonly command: string;
  readonly runs: number;
  /** The day, as YYYY-MM-DD. */
  readonly date: string;
  readonly lines: readonly ReportLine[];
}

export function reportOf(
  name: string,
  command: string,
  runs: number,
  measurements: readonly Measurement[],
): BenchmarkReport {
  return {
    name,
    command,
    runs,
    date: new Date().toISOString().slice(0, 10),
    lines: measurements.map(lineOf),
  };
}

function lineOf(measurement: Measurement): ReportLine {
  const { values, floor, target } = measurement;
  // What the clock of the system shows as nothing is no floor to compare with.
  const isMeasured = floor?.values.every((value) => value > 0);
  const ratios = isMeasured ? floor?.values.map((value, run) => values[run]! / value) : undefined;
  const differences = floor?.values.map((value, run) => values[run]! - value);
  return {
    ...measurement,
    ...summarize(values),
    ...(ratios && { ratio: summarize(ratios) }),
    ...(target && { isMet: isMet(target, summarize(values), ratios, differences) }),
  };
}

function isMet(
  target: Target,
  { median }: Summary,
  ratios: number[] = [],
  differences: number[] = [],
): boolean {
  switch (target.kind) {
    case 'at least':
      return median >= target.value;
    case 'under':
      return median < target.value;
    case 'ratio at least':
      return summarize(ratios).median >= target.value;
    case 'ratio at most':
      return summarize(ratios).median <= target.value;
    case 'floor plus':
      return summarize(differences).median <= target.value;
  }
}
