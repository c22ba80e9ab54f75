import { OutboxRelay } from '@cqrs-outbox/core';
import { backlog } from '../app/backlog.ts';
import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createServerDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { ServerDatabase } from '../servers/outbox-database.ts';
import { CHARTS, type Chart, type Step } from './charts.ts';
import { measureHeldTransaction } from './held-transaction.ts';

/** Drained before each step is measured, in the same application. */
const WARM_UP_SIZE = 2_000;

/** How what the relay takes for an entry grows with the work, or does not. */
export async function measureGrowth(context: DatabaseContext): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const chart of CHARTS) measurements.push(...(await measureChart(chart, context)));
  measurements.push(...(await measureHeldTransaction(context)));
  return measurements;
}

/** Every run goes through all steps, so that what else the machine does is spread over them. */
async function measureChart(chart: Chart, context: DatabaseContext): Promise<Measurement[]> {
  const topic = await KafkaTopic.create(context.brokers);
  const values = new Map<Step, number[]>(chart.steps.map((step) => [step, []]));
  try {
    const database = await createServerDatabase(context.database);
    try {
      for (const step of chart.steps) {
        await step.prepare?.(database);
        for (let run = 1; run <= context.runs; run += 1) {
          context.progress(`${chart.name} ${step.x}, run ${run} of ${context.runs}`);
          values.get(step)!.push(await microsecondsOf(step, { database, topic, brokers: context.brokers }));
        }
      }
    } finally {
      await database.drop();
    }
  } finally {
    await topic.drop();
  }
  return chart.steps.map((step) => ({
    work: `growth, ${chart.name} ${step.x}, ${context.database.name}`,
    unit: 'µs/msg',
    values: values.get(step)!,
    point: { chart: chart.name, series: context.database.name, axis: chart.axis, x: step.x },
  }));
}

interface Scene {
  readonly database: ServerDatabase;
  readonly topic: KafkaTopic;
  readonly brokers: string[];
}

/** By the clock, for each entry. */
async function microsecondsOf(step: Step, { database, topic, brokers }: Scene): Promise<number> {
  const { size, shape, options = {}, destinations = 1 } = step;
  const names = ['default', ...Array.from({ length: destinations - 1 }, (_, index) => `other-${index}`)];
  const destinationOptions = await Promise.all(
    names.map(async (name) => [name, await kafkaOption(brokers)] as const),
  );
  const app = await startApp({
    ormOptions: database.ormOptions,
    transport: Object.fromEntries(destinationOptions),
    options,
  });
  const relay = app.get(OutboxRelay, { strict: false });
  const drain = async (entries: number): Promise<number> => {
    const share = entries / names.length;
    const before = await topic.written();
    for (const destination of names) {
      const rows = backlog(share, topic.name, { ...shape, destination });
      const commit = await database.insert(rows);
      await commit();
    }
    const startedAt = performance.now();
    await relay.runOnce();
    const milliseconds = performance.now() - startedAt;
    const [left, written] = [await database.count(), (await topic.written()) - before];
    if (left !== 0 || written !== entries) {
      throw new Error(`The run is not valid: of ${entries} entries ${left} are left, Kafka has ${written}.`);
    }
    return (milliseconds * 1000) / entries;
  };
  try {
    await drain(Math.min(WARM_UP_SIZE, size));
    await database.settle();
    return await drain(size);
  } finally {
    await app.close();
    await database.settle();
  }
}
