import { randomUUID } from 'node:crypto';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { within } from '../../services/wait.ts';
import type { Arrival } from '../history/records.ts';
import { MAIN_TOPIC, MAX_MESSAGE_BYTES, PARTITIONS } from '../processes/topology.ts';
import type { Broker } from './broker.ts';

const READ_LIMIT_MS = 10 * 60_000;

/** Kafka: what really arrived is what the topics have, from their beginning. */
export class KafkaBroker implements Broker {
  readonly #kafka: Kafka;
  /** A topic may be made a second time, when the answer to the first try was lost. */
  readonly #topics = new Set<string>();

  constructor(port: number) {
    this.#kafka = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING });
  }

  prepare(): Promise<void> {
    return this.#createTopic(MAIN_TOPIC, PARTITIONS);
  }

  accept(name: string): Promise<void> {
    return this.#createTopic(name, 1);
  }

  async arrivals(): Promise<Arrival[]> {
    const ends = await this.#withAdmin((admin) => this.#ends(admin));
    const total = ends.reduce((sum, { end }) => sum + end, 0);
    const arrivals: Arrival[] = [];
    if (total === 0) return arrivals;
    const consumer = this.#kafka.consumer({ groupId: randomUUID() });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [...this.#topics], fromBeginning: true });
      const complete = new Promise<void>((resolve, reject) => {
        consumer
          .run({
            eachMessage: async ({ topic, partition, message }) => {
              const { token, key, seq } = JSON.parse(String(message.value)) as Arrival;
              const lane = `${topic}/${partition}`;
              const messageId = String(message.headers?.['ce_id']);
              const [index, time] = [Number(message.offset), Number(message.timestamp)];
              arrivals.push({ token, key, seq, messageId, lane, index, time });
              if (arrivals.length === total) resolve();
            },
          })
          .catch(reject);
      });
      await within(READ_LIMIT_MS, `reading ${total} messages back from Kafka`, complete);
    } finally {
      await consumer.disconnect();
    }
    return arrivals;
  }

  async #ends(admin: Admin): Promise<{ end: number }[]> {
    const offsets = await Promise.all([...this.#topics].map((topic) => admin.fetchTopicOffsets(topic)));
    return offsets.flat().map(({ high }) => ({ end: Number(high) }));
  }

  /** Its messages get the broker's time, by which two topics can be compared. */
  async #createTopic(topic: string, numPartitions: number): Promise<void> {
    const configEntries = [
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'max.message.bytes', value: String(MAX_MESSAGE_BYTES) },
    ];
    this.#topics.add(topic);
    await this.#withAdmin((admin) =>
      admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true }),
    );
  }

  async #withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }
}
