import { randomBytes } from 'node:crypto';
import { connect, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib';

/** A durable queue of a benchmark's own, and a bare amqplib confirm channel beside it. */
export class RabbitMqQueue {
  static async create(url: string): Promise<RabbitMqQueue> {
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    const name = `bench-${randomBytes(6).toString('hex')}`;
    await channel.assertQueue(name, { durable: true });
    return new RabbitMqQueue(name, connection, channel);
  }

  readonly name: string;
  readonly #connection: ChannelModel;
  readonly #channel: ConfirmChannel;
  #taken = 0;

  private constructor(name: string, connection: ChannelModel, channel: ConfirmChannel) {
    this.name = name;
    this.#connection = connection;
    this.#channel = channel;
  }

  /** Resolves when the broker has confirmed it. */
  publish(content: Buffer, options: Options.Publish): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#channel.publish('', this.name, content, options, (error) => {
        if (error) reject(error instanceof Error ? error : new Error(String(error)));
        else resolve();
      });
    });
  }

  /** How many messages were ever written. They are dropped, so that a long queue does not slow down what follows. */
  async written(): Promise<number> {
    const { messageCount } = await this.#channel.purgeQueue(this.name);
    this.#taken += messageCount;
    return this.#taken;
  }

  async drop(): Promise<void> {
    await this.#channel.deleteQueue(this.name);
    await this.#connection.close();
  }
}
