/** One line of the table. */
export interface Measurement {
  /** What was measured, and on what: `drain, mariadb`. */
  readonly work: string;
  readonly unit: 'msg/s' | 'tx/s' | 'µs/msg' | 'ms' | 'MB';
  /** One value of each run. */
  readonly values: readonly number[];
  /** What it is compared with in the same run, run by run. */
  readonly floor?: { readonly what: string; readonly values: readonly number[] };
  /** What the project wants of the median. */
  readonly target?: { readonly kind: 'at least' | 'under'; readonly value: number };
}
