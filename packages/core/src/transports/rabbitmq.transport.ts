import { Logger } from '@nestjs/common';
import type { ClientRMQ, RmqOptions } from '@nestjs/microservices';
import { messageOf } from '../cqrs-outbox.error.js';
import { toWireHeaders, WIRE_HEADERS, type Message } from '../messages/message.js';
import { publishInLanes } from './lanes.js';
import { closeInTime, withTimeLimit } from './time-limit.js';
import { PUBLISHED, Transport, type PublishOptions, type PublishResult } from './transport.js';

/** The part of amqplib's confirm channel that we use: core depends on no broker client. */
interface ConfirmChannel {
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    confirmed: (error: unknown) => void,
  ): boolean;
  on(event: 'return', listener: (message: { properties: { messageId?: unknown } }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
}

/** The part of amqp-connection-manager's connection that we use. */
interface ConnectionManager {
  createChannel(options: {
    json: boolean;
    confirm: boolean;
    setup: (channel: ConfirmChannel) => Promise<void>;
  }): {
    waitForConnect(): Promise<void>;
    close(): Promise<void>;
    on(event: 'error', listener: (error: unknown) => void): unknown;
  };
}

/** Where a message goes, as the client's options say. */
export interface RabbitMqRoute {
  /** The empty string: the queue itself, by the default exchange. */
  readonly exchange: string;
  /** Undefined: the event's name. */
  readonly routingKey: string | undefined;
}

/**
 * Publishes through the connection of Nest's `ClientRMQ`, which also declares the queue or exchange, on a confirm
 * channel of its own: persistent, mandatory, one confirm for each message. The body is what Nest's consumers expect,
 * `{ pattern, data }`, with the event's name as the pattern.
 *
 * Not by `emit`: a message that `ClientRMQ` takes while the connection is down waits in its memory and arrives when
 * the relay has long sent it again, and one that no queue takes is confirmed all the same and gone.
 */
export class RabbitMqTransport extends Transport {
  #channel: Promise<OpenChannel> | undefined;

  constructor(
    private readonly client: ClientRMQ,
    private readonly route: RabbitMqRoute,
    private readonly publishTimeoutMs: number,
    private readonly ownsClient: boolean,
  ) {
    super();
  }

  override get messagingSystem(): string {
    return 'rabbitmq';
  }

  async publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]> {
    try {
      const channel = await withTimeLimit(this.channel(), this.publishTimeoutMs, 'Connecting to RabbitMQ');
      return await publishInLanes(messages, (message) => this.publishOne(channel, message), options);
    } catch (error) {
      return messages.map(() => ({ status: 'unavailable', error }));
    }
  }

  close(): Promise<void> {
    return closeInTime('the connection to RabbitMQ', async () => {
      const channel = await this.#channel?.catch(() => undefined);
      // When the connection dies in this moment, amqp-connection-manager's close never settles.
      await channel?.close();
      if (this.ownsClient) await this.client.close();
    });
  }

  private async publishOne(channel: OpenChannel, message: Message): Promise<PublishResult> {
    const { exchange, routingKey = message.name } = this.route;
    const options = {
      persistent: true,
      mandatory: true,
      messageId: message.id,
      type: message.name,
      timestamp: Math.floor(message.occurredAt.getTime() / 1_000),
      contentType: 'application/json',
      headers: { ...toWireHeaders(message), [WIRE_HEADERS.key]: message.key },
    };
    try {
      const sent = channel.publish(exchange, routingKey, toNestPacket(message), options, message.id);
      const { isReturned } = await withTimeLimit(sent, this.publishTimeoutMs, `The confirm of ${message.id}`);
      if (!isReturned) return PUBLISHED;
      const where = `exchange ${JSON.stringify(exchange)}, routing key ${JSON.stringify(routingKey)}`;
      return { status: 'refused', error: new Error(`No queue takes it: ${where}`) };
    } catch (error) {
      if (error instanceof UnencodableError) return { status: 'refused', error, permanent: true };
      return { status: 'unavailable', error };
    }
  }

  /** Opened on first use; after a failure the next publish opens it anew. */
  private channel(): Promise<OpenChannel> {
    if (!this.#channel) {
      const opening = this.open().catch((error: unknown) => {
        if (this.#channel === opening) this.#channel = undefined;
        throw error;
      });
      this.#channel = opening;
    }
    return this.#channel;
  }

  private async open(): Promise<OpenChannel> {
    await this.client.connect();
    const channel = new OpenChannel(this.client.unwrap<ConnectionManager>());
    await channel.ready();
    return channel;
  }
}

/** No frame can hold this message. */
class UnencodableError extends Error {
  constructor(cause: unknown) {
    super(`It can't be encoded: ${messageOf(cause)}`, { cause });
  }
}

/** A confirm channel that comes back with the connection; what was unconfirmed when it closed has failed. */
class OpenChannel {
  readonly #returned = new Set<string>();
  readonly #wrapper: ReturnType<ConnectionManager['createChannel']>;
  #channel: ConfirmChannel | undefined;

  constructor(connection: ConnectionManager) {
    this.#wrapper = connection.createChannel({
      json: false,
      confirm: true,
      setup: async (channel) => this.use(channel),
    });
    // Without a listener, a channel that can't be opened while the connection breaks would end the process. It is opened
    // again with the next connection, and what is published until then fails.
    this.#wrapper.on('error', (error) => {
      new Logger('CqrsOutbox').debug(`The channel of RabbitMQ could not be opened: ${messageOf(error)}`);
    });
  }

  ready(): Promise<void> {
    return this.#wrapper.waitForConnect();
  }

  close(): Promise<void> {
    return this.#wrapper.close();
  }

  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    messageId: string,
  ): Promise<{ isReturned: boolean }> {
    return new Promise((resolve, reject) => {
      const channel = this.#channel;
      if (!channel) return reject(new Error('The connection to RabbitMQ is down'));
      try {
        channel.publish(exchange, routingKey, content, options, (error) => {
          // The broker returns a message before it confirms it.
          const isReturned = this.#returned.delete(messageId);
          if (error) reject(error instanceof Error ? error : new Error('The channel was closed'));
          else resolve({ isReturned });
        });
      } catch (error) {
        // amqplib throws at once for a channel that is closed, and for what it can't encode.
        const isClosed = error instanceof Error && error.name === 'IllegalOperationError';
        reject(isClosed ? error : new UnencodableError(error));
      }
    });
  }

  private use(channel: ConfirmChannel): void {
    this.#channel = channel;
    channel.on('return', ({ properties }) => this.#returned.add(String(properties.messageId)));
    channel.on('close', () => {
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#returned.clear();
    });
  }
}

/**
 * Reads the route out of the client's options, in the way `ClientRMQ` itself publishes.
 *
 * @throws Error for an exchange that `ClientRMQ` would not publish to
 */
export function routeOf(options: NonNullable<RmqOptions['options']>): RabbitMqRoute {
  const queue = options.queue ?? 'default';
  if (options.exchangeType === 'fanout') return { exchange: options.exchange ?? queue, routingKey: '' };
  if (options.wildcards) return { exchange: options.exchange ?? queue, routingKey: undefined };
  if (options.exchange !== undefined && options.queue === undefined) {
    throw new Error(
      `the exchange ${options.exchange} is used only with wildcards: true (topic) or exchangeType: 'fanout'; without ` +
        `them Nest publishes to a queue, and none is named`,
    );
  }
  return { exchange: '', routingKey: queue };
}

/** Nest's packet around the payload as it is: JSON is not parsed and written again; what is none goes as base64 text. */
function toNestPacket({ name, payload, contentType, contentEncoding }: Message): Buffer {
  const head = Buffer.from(`{"pattern":${JSON.stringify(name)},"data":`);
  if (payload === null) return Buffer.concat([head, Buffer.from('null}')]);
  const isJson = contentType === 'application/json' && contentEncoding === undefined;
  const data = isJson ? payload : Buffer.from(JSON.stringify(payload.toString('base64')));
  return Buffer.concat([head, data, Buffer.from('}')]);
}
