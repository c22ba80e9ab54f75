import { OutboxRelay } from '@cqrs-outbox/core';
import type { INestApplicationContext } from '@nestjs/common';
import { kafkaOption, type KafkaClientName } from '../app/kafka-option.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { drainByHand } from './hand-written-loop.ts';
import { measurePair, type Way } from './paired-drain.ts';
import { produceByHand } from './produce-by-hand.ts';

const SIZE = 20_000;

/** What the faster client must gain to be worth a package of its own. */
const MIN_GAIN = 1.3;

/** How fast a backlog goes to Kafka: by the relay beside a hand-written loop, and by the relay with the faster client. */
export async function measureDrain(context: DatabaseContext): Promise<Measurement[]> {
  const { brokers } = context;
  const topic = await KafkaTopic.create(brokers);
  const databases = await Promise.all([1, 2, 3].map(() => createOutboxDatabase(context.database)));
  const [first, second, third] = databases as [OutboxDatabase, OutboxDatabase, OutboxDatabase];
  const apps: INestApplicationContext[] = [];
  const relayOf = async (client: KafkaClientName, name: string, database: OutboxDatabase): Promise<Way> => {
    const { ormOptions } = database;
    const app = await startApp({ ormOptions, transport: await kafkaOption(brokers, client) });
    apps.push(app);
    const relay = app.get(OutboxRelay, { strict: false });
    return { name, database, drain: () => relay.runOnce() };
  };
  const loop: Way = {
    name: 'hand-written loop, raw driver and kafkajs',
    database: second,
    drain: () => drainByHand(second, (rows) => produceByHand(rows, topic.producer, topic.name)),
  };
  const sink = { topic: topic.name, written: () => topic.written() };
  try {
    const nest = await relayOf('nest', 'the relay with the client of Nest', first);
    const fast = await relayOf('platformatic', 'the relay with @platformatic/kafka', third);
    return [
      ...(await measurePair({ what: `drain ${SIZE} to Kafka`, size: SIZE }, [nest, loop], sink, context)),
      ...(await measurePair(
        { what: `drain ${SIZE} by @platformatic/kafka`, size: SIZE, minRatio: MIN_GAIN },
        [fast, nest],
        sink,
        context,
      )),
    ];
  } finally {
    await Promise.all(apps.map((app) => app.close()));
    await topic.drop();
    await Promise.all(databases.map((database) => database.drop()));
  }
}
