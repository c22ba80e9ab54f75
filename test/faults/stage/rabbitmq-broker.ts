import { connect, type Channel } from 'amqplib';
import { within } from '../../services/wait.ts';
import type { Arrival } from '../history/records.ts';
import { HAPPENED, MAIN_TOPIC, QUEUE } from '../processes/topology.ts';
import type { Broker } from './broker.ts';

const READ_LIMIT_MS = 10 * 60_000;
const PREFETCH = 1_000;

/** RabbitMQ: what really arrived lies in one durable queue that nobody reads before the end. */
export class RabbitMqBroker implements Broker {
  readonly #url: string;

  constructor(port: number) {
    this.#url = `amqp://guest:guest@127.0.0.1:${port}`;
  }

  prepare(): Promise<void> {
    return this.#withChannel(async (channel) => {
      await channel.assertExchange(MAIN_TOPIC, 'topic', { durable: true });
      await channel.assertQueue(QUEUE, { durable: true });
      await channel.bindQueue(QUEUE, MAIN_TOPIC, HAPPENED);
    });
  }

  accept(name: string): Promise<void> {
    return this.#withChannel(async (channel) => {
      await channel.bindQueue(QUEUE, MAIN_TOPIC, name);
    });
  }

  /** No fault is there any more, so that nothing is delivered twice to this consumer itself. */
  arrivals(): Promise<Arrival[]> {
    return this.#withChannel(async (channel) => {
      const { messageCount } = await channel.checkQueue(QUEUE);
      const arrivals: Arrival[] = [];
      if (messageCount === 0) return arrivals;
      await channel.prefetch(PREFETCH);
      const complete = new Promise<void>((resolve, reject) => {
        const consume = channel.consume(QUEUE, (message) => {
          if (!message) return reject(new Error('RabbitMQ has cancelled the consumer'));
          const { data } = JSON.parse(message.content.toString()) as { data: Arrival };
          const { token, key, seq } = data;
          const messageId = String(message.properties.headers?.['ce_id']);
          arrivals.push({ token, key, seq, messageId, lane: QUEUE, index: arrivals.length, time: 0 });
          channel.ack(message);
          if (arrivals.length === messageCount) resolve();
        });
        consume.catch(reject);
      });
      await within(READ_LIMIT_MS, `reading ${messageCount} messages back from RabbitMQ`, complete);
      return arrivals;
    });
  }

  async #withChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const connection = await connect(this.#url, { timeout: 5_000 });
    connection.on('error', () => undefined);
    try {
      return await work(await connection.createChannel());
    } finally {
      await connection.close();
    }
  }
}
