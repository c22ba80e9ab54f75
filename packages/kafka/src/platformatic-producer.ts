import {
  KafkaProducer,
  TimeoutError,
  withTimeLimit,
  type KafkaAnswer,
  type KafkaFault,
  type Message,
} from '@cqrs-outbox/core';
import { ProduceAcks, Producer, type ClusterTopicMetadata } from '@platformatic/kafka';
import { answersOf } from './answers.js';
import { discard } from './discard.js';
import { faultOf } from './faults.js';
import { clientOptionsOf, type ResolvedOptions } from './platformatic-kafka.options.js';
import { recordOf, type KafkaRecord } from './records.js';

/** So often a topic is asked for again, of one broker after another. Messages are sent once. */
const METADATA_RETRIES = 3;
/** Of messages whose partition was not found out. */
const NO_PARTITION = -1;

/** Produces through one client at a time, which it gives up for another when it has not answered in time. */
export class PlatformaticProducer extends KafkaProducer {
  readonly #options: ResolvedOptions;
  /** Clients that are being closed. */
  readonly #closing = new Set<Promise<void>>();
  #client: Producer;
  #isClosed = false;

  constructor(options: ResolvedOptions) {
    super();
    this.#options = options;
    this.#client = this.createClient();
  }

  /** Asks for the topic's partitions, unless the client knows them, and connects to their leaders. */
  async prepare(topic: string): Promise<KafkaFault | undefined> {
    try {
      await this.withClient(`Asking for topic ${topic}`, async (client) => {
        await connectToLeaders(client, await topicOf(client, topic));
      });
      return undefined;
    } catch (error) {
      // It is what a broker has just said: nothing in it is stale.
      return { ...faultOf(error), mayBeStale: false };
    }
  }

  async send(topic: string, messages: readonly Message[]): Promise<KafkaAnswer[]> {
    let records: KafkaRecord[] = [];
    try {
      await this.withClient(`Producing ${messages.length} messages to ${topic}`, async (client) => {
        const { partitionsCount } = await topicOf(client, topic);
        records = messages.map((message) => recordOf(message, partitionsCount));
        // Those of the constructor have no effect: the client would have the leader alone acknowledge.
        await client.send({ messages: records, acks: ProduceAcks.ALL });
      });
      return [{ messages }];
    } catch (error) {
      const partitions = Map.groupBy(messages, (_, index) => records[index]?.partition ?? NO_PARTITION);
      return answersOf(error, partitions);
    }
  }

  async renew(): Promise<void> {
    this.#client.clearMetadata();
  }

  /** For good: a batch that is still being published opens no connection any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.discard(this.#client);
    await Promise.all(this.#closing);
  }

  private async withClient<T>(what: string, work: (client: Producer) => Promise<T>): Promise<T> {
    const client = this.#client;
    try {
      return await withTimeLimit(work(client), this.#options.publishTimeoutMs, what);
    } catch (error) {
      // What it has not sent yet must not go out later. With it fails what else it has in hand.
      if (error instanceof TimeoutError) this.discard(client);
      // The next try may find that the topic has moved.
      else client.clearMetadata();
      throw error;
    }
  }

  private discard(client: Producer): void {
    const closing = discard(client)
      // Whatever it says: its connections are closed.
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    if (this.#client === client && !this.#isClosed) this.#client = this.createClient();
  }

  /** It connects when it is used. */
  private createClient(): Producer {
    return new Producer(clientOptionsOf(this.#options));
  }
}

/** What is sent then goes out at once. One that can't be reached fails its own messages later. */
async function connectToLeaders(client: Producer, { partitions }: ClusterTopicMetadata): Promise<void> {
  const leaders = new Set(partitions.map(({ leader }) => leader));
  await client.connectToBrokers([...leaders]).catch(() => undefined);
}

/** As the client knows it, which asks for what it does not know. */
async function topicOf(client: Producer, topic: string): Promise<ClusterTopicMetadata> {
  const { topics } = await client.metadata({ topics: [topic], retries: METADATA_RETRIES });
  const found = topics.get(topic);
  if (!found?.partitionsCount) throw new Error(`Topic ${topic} is internal to Kafka, or has no partitions`);
  return found;
}
