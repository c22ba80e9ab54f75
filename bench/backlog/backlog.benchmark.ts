import { PROCESS_KINDS } from '../drain-process/process-kinds.ts';
import type { Measurement } from '../cli/measurement.ts';
import { drainInProcesses } from '../drain-process/drain-in-process.ts';
import { MEGABYTE, third, type DrainReport } from '../drain-process/drain-report.ts';
import { retained } from '../drain-process/retained.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { MAX_RSS_MB } from '../memory/memory.benchmark.ts';
import { TENTHS, tenthRates } from './tenth-rates.ts';

/** Of the last tenth to the first. */
const MIN_RATIO = 0.9;

/** Whether a very large backlog drains as fast at its end as at its start, and in the same memory. */
export async function measureBacklog(context: DatabaseContext): Promise<Measurement[]> {
  const { entries: size } = context;
  const measurements: Measurement[] = [];
  for (const { what, isFloor, ...kind } of PROCESS_KINDS) {
    const runs = await drainInProcesses(context, size, kind);
    const suffix = `${what}, ${context.database.name}`;
    const work = `backlog ${size}`;
    const lines = [...speed(work, runs, suffix), peak(work, runs, suffix), retained(work, runs, suffix)];
    // What the floor reaches or misses is no aim of ours.
    measurements.push(...(isFloor ? lines.map(({ target: _target, ...line }) => line) : lines));
  }
  return measurements;
}

function speed(work: string, runs: readonly DrainReport[], suffix: string): Measurement[] {
  const rates = runs.map(({ batches }) => tenthRates(batches));
  const whole = runs.map(({ batches }) => batches.at(-1)!).map(({ total, at }) => total / (at / 1000));
  const unit = 'msg/s';
  const floor = {
    what: 'backlog, msg/s: the first tenth of the same run',
    values: rates.map((tenths) => tenths[0]!),
  };
  return [
    { work: `${work} to Kafka, ${suffix}`, unit, values: whole },
    {
      work: `${work}, last tenth, ${suffix}`,
      unit,
      values: rates.map((tenths) => tenths[TENTHS - 1]!),
      floor,
      target: { kind: 'ratio at least', value: MIN_RATIO },
    },
    {
      work: `${work}, slowest tenth, ${suffix}`,
      unit,
      values: rates.map((tenths) => Math.min(...tenths)),
      floor,
    },
  ];
}

function peak(work: string, runs: readonly DrainReport[], suffix: string): Measurement {
  const peaks = (which: 'first' | 'last'): number[] =>
    runs.map(({ samples }) => Math.max(...third(which, samples).map(({ rss }) => rss / MEGABYTE)));
  return {
    work: `${work}, rss max, last third, ${suffix}`,
    unit: 'MB',
    values: peaks('last'),
    floor: { what: 'backlog, rss max: the first third of the same run', values: peaks('first') },
    target: { kind: 'under', value: MAX_RSS_MB },
  };
}
