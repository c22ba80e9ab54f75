import type { Measurement } from '../cli/measurement.ts';
import { MEGABYTE, type DrainReport } from './drain-report.ts';

/** A leak shows here, whatever the garbage collector did meanwhile. */
export function retained(work: string, runs: readonly DrainReport[], suffix: string): Measurement {
  return {
    work: `${work}, heap in use after it, ${suffix}`,
    unit: 'MB',
    values: runs.map(({ heapAfter }) => heapAfter / MEGABYTE),
    floor: {
      what: 'memory, heap in use: the same before the drain',
      values: runs.map(({ heapBefore }) => heapBefore / MEGABYTE),
    },
  };
}
