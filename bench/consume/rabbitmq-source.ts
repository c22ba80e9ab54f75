import { randomBytes } from 'node:crypto';
import { RabbitMqEventDeserializer } from '@cqrs-outbox/core';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { connect, type ChannelModel, type ConfirmChannel, type ConsumeMessage } from 'amqplib';
import { EVENT_NAME } from './credited.ts';
import { creditOf, type Handle, type ConsumerSettings, type MessageSource } from './message-source.ts';
import type { WireMessage } from './wire-messages.ts';

/** A durable queue with persistent messages. */
export class RabbitMqSource implements MessageSource {
  static async open(url: string): Promise<RabbitMqSource> {
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    const queue = `bench-${randomBytes(6).toString('hex')}`;
    await channel.assertQueue(queue, { durable: true });
    return new RabbitMqSource(url, queue, connection, channel);
  }

  readonly topic: string;
  readonly #url: string;
  readonly #connection: ChannelModel;
  readonly #channel: ConfirmChannel;

  private constructor(url: string, topic: string, connection: ChannelModel, channel: ConfirmChannel) {
    this.#url = url;
    this.topic = topic;
    this.#connection = connection;
    this.#channel = channel;
  }

  async publish(messages: readonly WireMessage[]): Promise<void> {
    for (const { key, headers, value } of messages) {
      const packet = Buffer.from(`{"pattern":"${EVENT_NAME}","data":${value.toString()}}`);
      this.#channel.sendToQueue(this.topic, packet, {
        persistent: true,
        contentType: 'application/json',
        headers: { ...headers, ce_subject: key },
      });
    }
    await this.#channel.waitForConfirms();
  }

  server({ inHand }: ConsumerSettings): MicroserviceOptions {
    return {
      transport: Transport.RMQ,
      options: {
        urls: [this.#url],
        queue: this.topic,
        queueOptions: { durable: true },
        noAck: false,
        prefetchCount: inHand,
        deserializer: new RabbitMqEventDeserializer(this.topic),
      },
    };
  }

  async consumeByHand(
    handle: Handle,
    { inHand, transactions, batchSize }: ConsumerSettings,
  ): Promise<() => Promise<void>> {
    const connection = await connect(this.#url);
    const channel = await connection.createChannel();
    await channel.prefetch(inHand);
    const waiting: ConsumeMessage[] = [];
    let running = 0;
    /** Takes what is there, as long as something is. */
    const work = async (): Promise<void> => {
      while (waiting.length > 0) {
        const batch = waiting.splice(0, batchSize);
        await handle(batch.map(read));
        for (const message of batch) channel.ack(message);
      }
      running--;
    };
    await channel.consume(this.topic, (message) => {
      if (message) waiting.push(message);
      if (running >= transactions) return;
      running++;
      // What has arrived with this message is there by then.
      setImmediate(() => {
        work().catch((error: unknown) => connection.emit('error', error));
      });
    });
    return () => connection.close();
  }

  async drop(): Promise<void> {
    await this.#channel.deleteQueue(this.topic);
    await this.#connection.close();
  }
}

function read({ properties, content }: ConsumeMessage) {
  const packet = JSON.parse(String(content)) as { data: { account: string; amount: number } };
  return creditOf(properties.headers?.['ce_id'], packet.data);
}
