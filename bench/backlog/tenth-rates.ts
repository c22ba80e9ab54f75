import type { PublishedBatch } from '../drain-process/drain-report.ts';

export const TENTHS = 10;

/** Messages per second of each tenth of a backlog. A tenth ends with the batch that completes it. */
export function tenthRates(batches: readonly PublishedBatch[]): number[] {
  const size = batches.at(-1)?.total ?? 0;
  let start: PublishedBatch = { at: 0, total: 0 };
  return Array.from({ length: TENTHS }, (_, index) => {
    const end = batches.find(({ total }) => total >= ((index + 1) * size) / TENTHS)!;
    const rate = (end.total - start.total) / ((end.at - start.at) / 1000);
    start = end;
    return rate;
  });
}
