import { backlog, type BacklogShape } from '../app/backlog.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { serverCpu } from '../servers/server-cpu.ts';

/** One of the ways that are compared. */
export interface Way {
  readonly name: string;
  /** Its own: the relay would take what is in its database, whoever is about to drain it. */
  readonly database: OutboxDatabase;
  readonly drain: () => Promise<unknown>;
}

/** Where the entries go. */
export interface Sink {
  /** The topic of the entries. */
  readonly topic: string;
  /** How many messages were ever written. */
  written(): Promise<number>;
}

/** Of one run. */
interface Rate {
  readonly messagesPerSecond: number;
  /** Of this process, user and system; it says more than the clock on a machine that is not idle. */
  readonly cpuMicroseconds: number;
  readonly serverMicroseconds: number;
}

/** What is drained. */
export interface Load {
  readonly what: string;
  /** How many entries. */
  readonly size: number;
  readonly shape?: BacklogShape;
  /** What the ratio should be. @defaultValue 0.85, as to a hand-written loop */
  readonly minRatio?: number;
}

/** Drains a backlog in two ways in turn. */
export async function measurePair(
  load: Load,
  [ours, floor]: readonly [ours: Way, floor: Way],
  sink: Sink,
  context: DatabaseContext,
): Promise<Measurement[]> {
  const { what, minRatio = 0.85 } = load;
  const rates = new Map<Way, Rate[]>([
    [ours, []],
    [floor, []],
  ]);
  // Who goes first changes with each run. The run before the first warms up connections and compiler.
  for (let run = 0; run <= context.runs; run += 1) {
    for (const way of run % 2 === 0 ? [ours, floor] : [floor, ours]) {
      const which = run === 0 ? 'warming up' : `run ${run} of ${context.runs}`;
      context.progress(`${what}, ${which}, ${way.name}`);
      const rate = await rateOf(way, sink, context, load);
      if (run > 0) rates.get(way)!.push(rate);
    }
  }
  const valuesOf = (way: Way, kind: keyof Rate): number[] => rates.get(way)!.map((rate) => rate[kind]);
  const measurementOf = (suffix: string, kind: keyof Rate, unit: Measurement['unit']): Measurement => ({
    work: `${what}${suffix}, ${context.database.name}`,
    unit,
    values: valuesOf(ours, kind),
    floor: { what: `drain: ${floor.name}`, values: valuesOf(floor, kind) },
  });
  return [
    {
      ...measurementOf('', 'messagesPerSecond', 'msg/s'),
      target: { kind: 'ratio at least', value: minRatio },
    },
    measurementOf(', CPU', 'cpuMicroseconds', 'µs/msg'),
    measurementOf(', CPU of the database', 'serverMicroseconds', 'µs/msg'),
  ];
}

/** From the moment that the rows are visible until the last of them is deleted. */
async function rateOf(
  { database, drain }: Way,
  sink: Sink,
  context: DatabaseContext,
  { size, shape }: Load,
): Promise<Rate> {
  await database.settle();
  const before = await sink.written();
  const commit = await database.insert(backlog(size, sink.topic, shape));
  await commit();
  const serverBefore = serverCpu(context.database.name);
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  await drain();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const server = serverCpu(context.database.name) - serverBefore;
  const [left, written] = [await database.count(), (await sink.written()) - before];
  if (left !== 0 || written !== size) {
    throw new Error(
      `The run is not valid: of ${size} entries ${left} are left, and the broker has ${written}.`,
    );
  }
  return {
    messagesPerSecond: size / seconds,
    cpuMicroseconds: (cpu.user + cpu.system) / size,
    serverMicroseconds: server / size,
  };
}
