import { KafkaEventServer } from '@cqrs-outbox/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Kafka, type EachBatchPayload, type KafkaMessage } from 'kafkajs';
import { clientConfig } from '../servers/kafka-client-config.ts';
import { KafkaTopic } from '../servers/kafka-topic.ts';
import { chunks } from '../servers/outbox-database.ts';
import { creditOf, type Handle, type ConsumerSettings, type MessageSource } from './message-source.ts';
import type { WireMessage } from './wire-messages.ts';

/** Both commit their offsets so often. */
const AUTO_COMMIT_INTERVAL_MS = 1_000;
/** Messages of one request, which may have a megabyte. */
const REQUEST_SIZE = 500;
const MAX_WAIT_TIME_MS = 1_000;

export class KafkaSource implements MessageSource {
  static async open(brokers: string[]): Promise<KafkaSource> {
    return new KafkaSource(brokers, await KafkaTopic.create(brokers));
  }

  readonly #brokers: string[];
  readonly #topic: KafkaTopic;

  private constructor(brokers: string[], topic: KafkaTopic) {
    this.#brokers = brokers;
    this.#topic = topic;
  }

  get topic(): string {
    return this.#topic.name;
  }

  async publish(messages: readonly WireMessage[]): Promise<void> {
    for (const chunk of chunks(messages, REQUEST_SIZE))
      await this.#topic.producer.send({ topic: this.topic, messages: [...chunk] });
  }

  server({ inHand }: ConsumerSettings): MicroserviceOptions {
    return {
      strategy: new KafkaEventServer({
        client: clientConfig(this.#brokers),
        consumer: { groupId: `${this.topic}-ours` },
        subscribe: { fromBeginning: true },
        maxConcurrency: inHand,
      }),
    };
  }

  /** Messages of a key in their order, those of different keys at the same time: as many as the pool has connections. */
  async consumeByHand(
    handle: Handle,
    { transactions, batchSize }: ConsumerSettings,
  ): Promise<() => Promise<void>> {
    const consumer = new Kafka(clientConfig(this.#brokers)).consumer({
      groupId: `${this.topic}-by-hand`,
      maxWaitTimeInMs: MAX_WAIT_TIME_MS,
    });
    await consumer.connect();
    await consumer.subscribe({ topic: this.topic, fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: transactions,
      autoCommitInterval: AUTO_COMMIT_INTERVAL_MS,
      eachBatchAutoResolve: false,
      eachBatch: (payload) =>
        batchSize === 1 ? oneByOne(payload, handle) : batchByBatch(payload, handle, batchSize),
    });
    return () => consumer.disconnect();
  }

  drop(): Promise<void> {
    return this.#topic.drop();
  }
}

async function oneByOne(payload: EachBatchPayload, handle: Handle): Promise<void> {
  const { messages } = payload.batch;
  const lanes = Map.groupBy(messages, ({ key }) => String(key));
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const message of lane) await handle([read(message)]);
    }),
  );
  await handled(payload, messages.at(-1));
}

/** One transaction after another: those of different partitions run at the same time. */
async function batchByBatch(payload: EachBatchPayload, handle: Handle, batchSize: number): Promise<void> {
  const { messages } = payload.batch;
  for (let start = 0; start < messages.length; start += batchSize) {
    const batch = messages.slice(start, start + batchSize);
    await handle(batch.map(read));
    await handled(payload, batch.at(-1));
  }
}

async function handled(payload: EachBatchPayload, last: KafkaMessage | undefined): Promise<void> {
  if (last) payload.resolveOffset(last.offset);
  await payload.heartbeat();
  await payload.commitOffsetsIfNecessary();
}

function read({ headers, value }: KafkaMessage) {
  return creditOf(headers?.['ce_id'], JSON.parse(String(value)) as { account: string; amount: number });
}
