import { randomBytes } from 'node:crypto';
import { Kafka, type Admin, type Producer } from 'kafkajs';
import { clientConfig } from './kafka-client-config.ts';

/** The same on both sides of a comparison, like everything else that Kafka is told. */
const PARTITIONS = 4;

/** A topic of a benchmark's own, and a bare kafkajs client beside it. */
export class KafkaTopic {
  static async create(brokers: string[]): Promise<KafkaTopic> {
    const kafka = new Kafka(clientConfig(brokers));
    const admin = kafka.admin();
    await admin.connect();
    const topic = `bench-${randomBytes(6).toString('hex')}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
    const producer = kafka.producer();
    await producer.connect();
    return new KafkaTopic(topic, admin, producer);
  }

  readonly name: string;
  /** With kafkajs's defaults, which are those of Nest's client too: acks=-1, no compression. */
  readonly producer: Producer;
  readonly #admin: Admin;

  private constructor(name: string, admin: Admin, producer: Producer) {
    this.name = name;
    this.#admin = admin;
    this.producer = producer;
  }

  /** How many messages were ever written, by the offsets of the partitions. */
  async written(): Promise<number> {
    const offsets = await this.#admin.fetchTopicOffsets(this.name);
    return offsets.reduce((sum, { high }) => sum + Number(high), 0);
  }

  async drop(): Promise<void> {
    await this.producer.disconnect();
    await this.#admin.deleteTopics({ topics: [this.name] });
    await this.#admin.disconnect();
  }
}
