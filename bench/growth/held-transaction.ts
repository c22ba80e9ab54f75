import { OutboxRelay } from '@cqrs-outbox/core';
import { backlog } from '../app/backlog.ts';
import { kafkaOption } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createServerDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';

const SIZE = 10_000;
/** Drains while the transaction is open; the last of them is measured when it is open for minutes. */
const DRAINS = 16;
const PERIOD_MS = 10_000;

/**
 * Drains again and again while another session's transaction, which has seen the table, stays open: the database can't
 * remove a single deleted row meanwhile. The first drain is before it is opened.
 */
export async function measureHeldTransaction(context: DatabaseContext): Promise<Measurement[]> {
  const runs: number[][] = [];
  for (let run = 1; run <= context.runs; run += 1)
    runs.push(
      await drains(context, (drain) =>
        context.progress(`held-transaction, run ${run} of ${context.runs}, drain ${drain} of ${DRAINS}`),
      ),
    );
  return Array.from({ length: DRAINS + 1 }, (_, drain) => ({
    work: `growth, held-transaction, ${(drain * PERIOD_MS) / 1000} s, ${context.database.name}`,
    unit: 'µs/msg' as const,
    values: runs.map((values) => values[drain]!),
    point: {
      chart: 'held-transaction',
      series: context.database.name,
      axis: `seconds that a transaction is open, with ${SIZE} entries each ${PERIOD_MS / 1000} s (1: none)`,
      x: Math.max(1, (drain * PERIOD_MS) / 1000),
    },
  }));
}

async function drains(context: DatabaseContext, progress: (drain: number) => void): Promise<number[]> {
  const topic = await KafkaTopic.create(context.brokers);
  const database = await createServerDatabase(context.database);
  const app = await startApp({
    ormOptions: database.ormOptions,
    transport: await kafkaOption(context.brokers),
  });
  const relay = app.get(OutboxRelay, { strict: false });
  let end: (() => Promise<void>) | undefined;
  const values: number[] = [];
  const drainOnce = async (): Promise<number> => {
    const commit = await database.insert(backlog(SIZE, topic.name));
    await commit();
    const startedAt = performance.now();
    await relay.runOnce();
    const milliseconds = performance.now() - startedAt;
    if ((await database.count()) !== 0) throw new Error('The run is not valid: entries are left.');
    return (milliseconds * 1000) / SIZE;
  };
  try {
    await drainOnce();
    await database.settle();
    values.push(await drainOnce());
    end = await database.openTransaction();
    const openedAt = performance.now();
    for (let drain = 1; drain <= DRAINS; drain += 1) {
      progress(drain);
      const wait = openedAt + drain * PERIOD_MS - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      values.push(await drainOnce());
    }
  } finally {
    await end?.();
    await app.close();
    await topic.drop();
    await database.drop();
  }
  return values;
}
