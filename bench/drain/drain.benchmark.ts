import { OutboxRelay } from '@cqrs-outbox/core';
import { kafkaOption, startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import { drainByHand } from './hand-written-loop.ts';
import { measurePair } from './paired-drain.ts';
import { wireHeadersOf } from './wire-headers.ts';

const SIZE = 20_000;

/** How fast a backlog goes to Kafka, by the relay and by a hand-written loop in turn. */
export async function measureDrain(context: DatabaseContext): Promise<Measurement[]> {
  const topic = await KafkaTopic.create(context.brokers);
  const databases = [
    await createOutboxDatabase(context.database),
    await createOutboxDatabase(context.database),
  ] as const;
  const { ormOptions } = databases[0];
  const app = await startApp({ ormOptions, transport: kafkaOption(context.brokers) });
  const relay = app.get(OutboxRelay, { strict: false });
  try {
    return await measurePair(
      { what: `drain ${SIZE} to Kafka`, size: SIZE },
      [
        { name: 'relay', database: databases[0], drain: () => relay.runOnce() },
        {
          name: 'hand-written loop, raw driver and kafkajs',
          database: databases[1],
          drain: () =>
            drainByHand(databases[1], async (rows) => {
              const messages = rows.map((row) => ({
                key: row.message_key,
                value: row.payload,
                headers: wireHeadersOf(row),
              }));
              await topic.producer.sendBatch({ topicMessages: [{ topic: topic.name, messages }] });
            }),
        },
      ],
      { topic: topic.name, written: () => topic.written() },
      context,
    );
  } finally {
    await app.close();
    await topic.drop();
    await Promise.all(databases.map((database) => database.drop()));
  }
}
