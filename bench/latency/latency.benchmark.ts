import { RequestMediator } from '@cqrs-outbox/core';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import { percentile } from '../cli/statistics.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { clientConfig } from '../servers/kafka-client-config.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import { CommitClock } from './commit-clock.ts';
import { ObservedClientKafka } from './observed-client-kafka.ts';
import { Sampler, type Samples } from './sampler.ts';
import { declareTick, TickHandler } from './tick.ts';

const SAMPLES = 100;
const WARM_UP_SAMPLES = 20;
/** How much more than the bare produce it may be, in milliseconds. */
const TARGETS_MS = { 50: 2, 99: 6 } as const;
const CLIENT = 'bench:kafka';

/** How long a committed event takes to the broker in an idle application, and a bare produce beside it. */
export async function measureLatency(context: DatabaseContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const topic = await KafkaTopic.create(context.brokers);
  declareTick(topic.name);
  const commits = new CommitClock();
  const client = new ObservedClientKafka({
    client: clientConfig(context.brokers),
    producerOnlyMode: true,
  });
  const app = await startApp({
    ormOptions: database.ormOptions,
    transport: CLIENT,
    providers: [{ provide: CLIENT, useValue: client }, TickHandler],
    subscribers: [commits],
  });
  const requests = app.get(RequestMediator, { strict: false });
  const sampler = new Sampler({ requests, client, commits, topic });
  const runs: Samples[] = [];
  try {
    context.progress('warming up');
    await sampler.run(WARM_UP_SAMPLES);
    for (let run = 1; run <= context.runs; run += 1) {
      context.progress(`run ${run} of ${context.runs}, ${SAMPLES} commits`);
      runs.push(await sampler.run(SAMPLES));
    }
    await sampler.assertNothingLost(database);
  } finally {
    await app.close();
    await client.close();
    await topic.drop();
    await database.drop();
  }
  return ([50, 99] as const).map((rank) => measurementOf(rank, runs, context.database.name));
}

function measurementOf(rank: 50 | 99, runs: readonly Samples[], database: string): Measurement {
  return {
    work: `commit to ack, p${rank}, ${database}`,
    unit: 'ms',
    values: runs.map(({ commitToAck }) => percentile(commitToAck, rank)),
    floor: {
      what: 'latency: bare kafkajs produce of one message, same percentile',
      values: runs.map(({ bareProduce }) => percentile(bareProduce, rank)),
    },
    target: { kind: 'floor plus', value: TARGETS_MS[rank] },
  };
}
