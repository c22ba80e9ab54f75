/** One line of the table. */
export interface Measurement {
  /** What was measured, and on what: `drain, mariadb`. */
  readonly work: string;
  readonly unit: Unit;
  /** One value of each run. */
  readonly values: readonly number[];
  /** What it is compared with in the same run, run by run. */
  readonly floor?: { readonly what: string; readonly values: readonly number[] };
  /** What the project wants of the median. */
  readonly target?: Target;
  /** Its place in a chart of how a cost grows. */
  readonly point?: ChartPoint;
}

export type Unit =
  'msg/s' | 'tx/s' | 'calls/s' | 'µs/msg' | 'µs' | 'ms' | 'MB' | '%' | 'statements' | 'statements/s';

/** Of the median of the values, or of the median of their ratios to the floor's, run by run. */
export type Target =
  | { readonly kind: 'at least' | 'under'; readonly value: number }
  | { readonly kind: 'ratio at least' | 'ratio at most'; readonly value: number }
  /** Values may be so much greater than those of the floor, in the unit of both. */
  | { readonly kind: 'floor plus'; readonly value: number };

/** Measurements with the same chart and series make a line. */
export interface ChartPoint {
  /** The name of the chart, and of its file. */
  readonly chart: string;
  readonly series: string;
  /** What grows, with its unit. */
  readonly axis: string;
  readonly x: number;
}
