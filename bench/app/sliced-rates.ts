import { turnsOf } from './turns.ts';

/** One of the ways that are compared: does the work once. */
export type Way = () => unknown;

/** How the work is done. */
export interface Slicing {
  /** How often each way does the work in one slice. */
  readonly calls: number;
  /** So many slices of each way make a run. */
  readonly slices: number;
  /** Calls of one slice that are in the air together. @defaultValue 1 */
  readonly atATime?: number;
}

/**
 * Calls per second of each way, one value for each run. The ways take turns in short slices, so that what else the machine
 * does meets all of them alike, and so does what a slice leaves behind for the next: see {@link turnsOf}. A run before the first
 * warms up the compiler.
 */
export async function slicedRates(
  ways: readonly Way[],
  slicing: Slicing,
  runs: number,
  progress: (text: string) => void,
): Promise<number[][]> {
  const rates = ways.map((): number[] => []);
  for (let run = 0; run <= runs; run += 1) {
    progress(run === 0 ? 'warming up' : `run ${run} of ${runs}`);
    const seconds = await secondsOf(ways, slicing);
    if (run === 0) continue;
    for (const [index, values] of rates.entries())
      values.push((slicing.calls * slicing.slices) / seconds[index]!);
  }
  return rates;
}

/** Of each way, in all slices of one run. */
async function secondsOf(ways: readonly Way[], slicing: Slicing): Promise<number[]> {
  const seconds = ways.map(() => 0);
  for (let slice = 0; slice < slicing.slices; slice += 1) {
    for (const index of turnsOf(ways.length, slice)) {
      const startedAt = performance.now();
      await workOff(ways[index]!, slicing);
      seconds[index]! += (performance.now() - startedAt) / 1000;
    }
  }
  return seconds;
}

async function workOff(work: Way, { calls, atATime = 1 }: Slicing): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next++ < calls) await work();
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}
