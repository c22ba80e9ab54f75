/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** By nearest rank: a value that was measured, never one between two. @param rank in percent, such as 99 */
export function percentile(values: readonly number[], rank: number): number {
  return ascending(values)[Math.max(0, Math.ceil((rank / 100) * values.length) - 1)]!;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}
