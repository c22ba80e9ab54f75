import { PROCESS_KINDS } from '../drain-process/process-kinds.ts';
import type { Measurement } from '../cli/measurement.ts';
import { median } from '../cli/statistics.ts';
import { drainInProcesses } from '../drain-process/drain-in-process.ts';
import { retained } from '../drain-process/retained.ts';
import { MEGABYTE, third, type DrainReport, type MemorySample } from '../drain-process/drain-report.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';

const SIZE = 100_000;
export const MAX_RSS_MB = 250;

/** What memory an application takes that drains a large backlog: one process for each run, sampled from inside. */
export async function measureMemory(context: DatabaseContext): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const { what, isFloor, ...kind } of PROCESS_KINDS) {
    const runs = await drainInProcesses(context, SIZE, kind);
    const suffix = `${what}, ${context.database.name}`;
    const sampled = (['rss', 'heapUsed'] as const).flatMap((size) =>
      measurementsOf(size, runs, suffix, size === 'rss' && !isFloor),
    );
    measurements.push(...sampled, retained(`drain ${SIZE}`, runs, suffix));
  }
  return measurements;
}

function measurementsOf(
  kind: keyof MemorySample,
  runs: readonly DrainReport[],
  suffix: string,
  isLimited: boolean,
): Measurement[] {
  const megabytes = (samples: readonly MemorySample[]): number[] =>
    samples.map((sample) => sample[kind] / MEGABYTE);
  return [
    {
      work: `drain ${SIZE}, ${kind}, last third, ${suffix}`,
      unit: 'MB',
      values: runs.map(({ samples }) => median(megabytes(third('last', samples)))),
      floor: {
        what: 'memory: the median of the first third of the same run',
        values: runs.map(({ samples }) => median(megabytes(third('first', samples)))),
      },
    },
    {
      work: `drain ${SIZE}, ${kind}, max, ${suffix}`,
      unit: 'MB',
      values: runs.map(({ samples }) => Math.max(...megabytes(samples))),
      ...(isLimited && { target: { kind: 'under', value: MAX_RSS_MB } }),
    },
  ];
}
