import { OutboxRelay } from '@cqrs-outbox/core';
import { Transport } from '@nestjs/microservices';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import type { RawRow } from '../servers/outbox-rows.ts';
import { RabbitMqQueue } from '../servers/rabbitmq-queue.ts';
import { drainByHand } from './hand-written-loop.ts';
import { measurePair, type Load } from './paired-drain.ts';
import { wireHeadersOf } from './wire-headers.ts';

const LOADS: readonly Load[] = [
  { what: 'drain 20000 to RabbitMQ', size: 20_000 },
  // Each waits for the confirm of the one before it, and for the disk of the broker.
  { what: 'drain 1000 of one key to RabbitMQ', size: 1_000, shape: { keys: 1 } },
];

/** How fast a backlog goes to a durable queue, each message persistent and confirmed. */
export async function measureRabbitMqDrain(context: DatabaseContext): Promise<Measurement[]> {
  const queue = await RabbitMqQueue.create(context.amqpUrl);
  const databases = [
    await createOutboxDatabase(context.database),
    await createOutboxDatabase(context.database),
  ] as const;
  const options = { urls: [context.amqpUrl], queue: queue.name, queueOptions: { durable: true } };
  const { ormOptions } = databases[0];
  const app = await startApp({ ormOptions, transport: { transport: Transport.RMQ, options } });
  const relay = app.get(OutboxRelay, { strict: false });
  const ways = [
    { name: 'relay', database: databases[0], drain: () => relay.runOnce() },
    {
      name: 'hand-written loop, raw driver and amqplib, a confirm before the next of its key',
      database: databases[1],
      drain: () => drainByHand(databases[1], (rows) => publishByHand(rows, queue)),
    },
  ] as const;
  const sink = { topic: queue.name, written: () => queue.written() };
  try {
    const measurements: Measurement[] = [];
    for (const load of LOADS) measurements.push(...(await measurePair(load, ways, sink, context)));
    return measurements;
  } finally {
    await app.close();
    await queue.drop();
    await Promise.all(databases.map((database) => database.drop()));
  }
}

/** Keys side by side, and those of one key one after another: the order that the relay keeps, whatever is refused. */
async function publishByHand(rows: readonly RawRow[], queue: RabbitMqQueue): Promise<void> {
  const lanes = Map.groupBy(rows, (row) => row.message_key);
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const row of lane) await queue.publish(packetOf(row), optionsOf(row));
    }),
  );
}

/** What Nest's consumers expect. */
function packetOf({ name, payload }: RawRow): Buffer {
  const head = Buffer.from(`{"pattern":${JSON.stringify(name)},"data":`);
  return Buffer.concat([head, payload, Buffer.from('}')]);
}

function optionsOf(row: RawRow) {
  return {
    persistent: true,
    mandatory: true,
    messageId: row.message_id,
    type: row.name,
    timestamp: Math.floor(Number(row.occurred_at) / 1_000),
    contentType: 'application/json',
    headers: { ...wireHeadersOf(row), ce_subject: row.message_key },
  };
}
