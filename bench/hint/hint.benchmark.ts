import type { Measurement } from '../cli/measurement.ts';
import { percentile } from '../cli/statistics.ts';
import { declareTick } from '../latency/tick.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import { assertWritten, TwoProcesses } from './two-processes.ts';

const SAMPLES = 100;
const WARM_UP_SAMPLES = 20;
/** The relay's tick by default. */
const TICK_MS = 1_000;
const HINT_TARGET_MS = 20;

interface Runs {
  readonly tick: number[][];
  readonly hints: number[][];
}

/**
 * How long an event takes to the broker that is committed in another process than the relay's, by hints and by the relay's
 * tick. Databases without hints have the tick alone.
 */
export async function measureHintLatency(context: DatabaseContext): Promise<Measurement[]> {
  const hasHints = context.database.name === 'postgres';
  const topic = await KafkaTopic.create(context.brokers);
  declareTick(topic.name);
  const scenes: TwoProcesses[] = [];
  const runs: Runs = { tick: [], hints: [] };
  try {
    const modes = hasHints ? (['tick', 'hints'] as const) : (['tick'] as const);
    for (const mode of modes) scenes.push(await TwoProcesses.start(context, mode));
    context.progress('warming up');
    for (const scene of scenes) await scene.run(WARM_UP_SAMPLES);
    for (let run = 1; run <= context.runs; run += 1) {
      for (const [index, mode] of modes.entries()) {
        context.progress(`run ${run} of ${context.runs}, ${SAMPLES} commits, by ${mode}`);
        runs[mode].push(await scenes[index]!.run(SAMPLES));
      }
    }
    for (const scene of scenes) await scene.assertEmpty();
    await assertWritten(topic, scenes);
  } finally {
    for (const scene of scenes) await scene.stop();
    await topic.drop();
  }
  return [50, 99].flatMap((rank) => measurementsOf(rank, runs, context.database.name));
}

function measurementsOf(rank: number, { tick, hints }: Runs, database: string): Measurement[] {
  const byTick = tick.map((samples) => percentile(samples, rank));
  const byHints = hints.map((samples) => percentile(samples, rank));
  const work = `commit to ack of another process, p${rank}, ${database}`;
  const isTarget = rank === 99;
  const waiting: Measurement = {
    work: `${work}, by tick`,
    unit: 'ms',
    values: byTick,
    ...(isTarget && { target: { kind: 'under', value: TICK_MS } }),
  };
  const told: Measurement = {
    work: `${work}, by hints`,
    unit: 'ms',
    values: byHints,
    floor: { what: 'hint: by the tick, same percentile', values: byTick },
    ...(isTarget && { target: { kind: 'under', value: HINT_TARGET_MS } }),
  };
  return hints.length > 0 ? [waiting, told] : [waiting];
}
