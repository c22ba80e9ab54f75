import { OutboxRelay } from '@cqrs-outbox/core';
import { backlog } from '../app/backlog.ts';
import { kafkaOption, startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { drainByHand } from './hand-written-loop.ts';

const SIZE = 20_000;
const MIN_RATIO = 0.85;

/** One of the ways that are compared. */
interface Way {
  readonly name: string;
  /** Its own: the relay would take what is in its database, whoever is about to drain it. */
  readonly database: OutboxDatabase;
  readonly drain: () => Promise<unknown>;
  /** Of each run. */
  readonly rates: Rate[];
}

interface Rate {
  readonly messagesPerSecond: number;
  /** Of this process, user and system; it says more than the clock on a machine that is not idle. */
  readonly cpuMicroseconds: number;
}

/** How fast a backlog goes to Kafka, by the relay and by a hand-written loop in turn. */
export async function measureDrain(context: DatabaseContext): Promise<Measurement[]> {
  const topic = await KafkaTopic.create(context.brokers);
  const databases = [
    await createOutboxDatabase(context.database),
    await createOutboxDatabase(context.database),
  ] as const;
  const { ormOptions } = databases[0];
  const app = await startApp({ ormOptions, transport: kafkaOption(context.brokers) });
  const outboxRelay = app.get(OutboxRelay, { strict: false });
  const relay: Way = {
    name: 'relay',
    database: databases[0],
    drain: () => outboxRelay.runOnce(),
    rates: [],
  };
  const loop: Way = {
    name: 'hand-written loop',
    database: databases[1],
    drain: () => drainByHand(databases[1], topic.producer, topic.name),
    rates: [],
  };
  try {
    await alternate(relay, loop, topic, context);
  } finally {
    await app.close();
    await topic.drop();
    await Promise.all(databases.map((database) => database.drop()));
  }
  const what = 'drain: hand-written loop, raw driver and kafkajs';
  return [
    {
      work: `drain ${SIZE} to Kafka, ${context.database.name}`,
      unit: 'msg/s',
      values: relay.rates.map(({ messagesPerSecond }) => messagesPerSecond),
      floor: { what, values: loop.rates.map(({ messagesPerSecond }) => messagesPerSecond) },
      target: { kind: 'ratio at least', value: MIN_RATIO },
    },
    {
      work: `drain ${SIZE} to Kafka, CPU, ${context.database.name}`,
      unit: 'µs/msg',
      values: relay.rates.map(({ cpuMicroseconds }) => cpuMicroseconds),
      floor: { what, values: loop.rates.map(({ cpuMicroseconds }) => cpuMicroseconds) },
    },
  ];
}

/** Who goes first changes with each run. The run before the first warms up connections and compiler. */
async function alternate(a: Way, b: Way, topic: KafkaTopic, { runs, progress }: DatabaseContext) {
  for (let run = 0; run <= runs; run += 1) {
    for (const way of run % 2 === 0 ? [a, b] : [b, a]) {
      progress(run === 0 ? `warming up, ${way.name}` : `run ${run} of ${runs}, ${way.name}`);
      const rate = await rateOf(way, topic);
      if (run > 0) way.rates.push(rate);
    }
  }
}

/** From the moment that the rows are visible until the last of them is deleted. */
async function rateOf({ database, drain }: Way, topic: KafkaTopic): Promise<Rate> {
  await database.settle();
  const before = await topic.written();
  const commit = await database.insert(backlog(SIZE, topic.name));
  await commit();
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  await drain();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const [left, written] = [await database.count(), (await topic.written()) - before];
  if (left !== 0 || written !== SIZE) {
    throw new Error(`The run is not valid: of ${SIZE} entries ${left} are left, and Kafka has ${written}.`);
  }
  return { messagesPerSecond: SIZE / seconds, cpuMicroseconds: (cpu.user + cpu.system) / SIZE };
}
