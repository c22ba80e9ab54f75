import type { ClientRMQ, RmqOptions } from '@nestjs/microservices';
import { toWireHeaders, WIRE_HEADERS, type Message } from '../messages/message.js';
import { publishInLanes } from './lanes.js';
import { OversizeError, RabbitMqChannel, UnencodableError } from './rabbitmq-channel.js';
import { listenToChannels, type ChannelWrapper, type ConnectionManager } from './rabbitmq-connection.js';
import { closeInTime, withTimeLimit } from './time-limit.js';
import {
  HELD,
  PUBLISHED,
  Transport,
  UNLIMITED,
  type PublishOptions,
  type PublishResult,
} from './transport.js';

/** So often a message is sent at most that shares its channel with others that are too large. */
const MAX_SENDS = 5;

/** What is known of a batch while it is being published. */
interface Batch extends PublishOptions {
  /** Shared by its messages, until the broker closes it. */
  channel: Promise<RabbitMqChannel> | undefined;
  /** What the broker has said of the largest message it takes, when it refused one of the batch. */
  limit: OversizeError | undefined;
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
  #channel: Promise<RabbitMqChannel> | undefined;

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

  async publish(messages: readonly Message[], options: PublishOptions = UNLIMITED): Promise<PublishResult[]> {
    const batch: Batch = { mayStart: options.mayStart, channel: undefined, limit: undefined };
    return publishInLanes(messages, (message) => this.publishOne(message, batch), options);
  }

  close(): Promise<void> {
    return closeInTime('the connection to RabbitMQ', async () => {
      const channel = await this.#channel?.catch(() => undefined);
      // When the connection dies in this moment, amqp-connection-manager's close never settles.
      await channel?.close();
      if (this.ownsClient) await this.client.close();
    });
  }

  /**
   * A message that is too large for the broker closes the channel, with all that is in flight on it. It is refused for
   * good; the others are sent again on a new channel, each still before what follows it of its key.
   */
  private async publishOne(message: Message, batch: Batch): Promise<PublishResult> {
    const packet = toNestPacket(message);
    for (let sends = 0; sends < MAX_SENDS; sends++) {
      if (sends > 0 && !batch.mayStart()) return HELD;
      const { limit } = batch;
      if (limit && packet.length > limit.maxBytes)
        return { status: 'refused', error: limit, permanent: true };
      const opening = (batch.channel ??= this.openInTime());
      try {
        return await this.send(await opening, message, packet);
      } catch (error) {
        if (!(error instanceof OversizeError)) return { status: 'unavailable', error };
        if (batch.channel === opening) batch.channel = undefined;
        batch.limit = error;
      }
    }
    return { status: 'unavailable', error: batch.limit };
  }

  /** @throws when it is not known that the broker has it, or that it does not want it */
  private async send(channel: RabbitMqChannel, message: Message, packet: Buffer): Promise<PublishResult> {
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
      const { isReturned } = await channel.publish(exchange, routingKey, packet, options, message.id);
      if (!isReturned) return PUBLISHED;
      const where = `exchange ${JSON.stringify(exchange)}, routing key ${JSON.stringify(routingKey)}`;
      return { status: 'refused', error: new Error(`No queue takes it: ${where}`) };
    } catch (error) {
      if (error instanceof UnencodableError) return { status: 'refused', error, permanent: true };
      throw error;
    }
  }

  private openInTime(): Promise<RabbitMqChannel> {
    return withTimeLimit(this.channel(), this.publishTimeoutMs, 'Connecting to RabbitMQ');
  }

  /** Opened on first use; after a failure, or when the broker has closed it, the next one to send opens it anew. */
  private channel(): Promise<RabbitMqChannel> {
    if (!this.#channel) {
      const forget = (): void => {
        if (this.#channel === opening) this.#channel = undefined;
      };
      const opening: Promise<RabbitMqChannel> = this.open(forget).catch((error: unknown) => {
        forget();
        throw error;
      });
      this.#channel = opening;
    }
    return this.#channel;
  }

  private async connection(): Promise<ConnectionManager> {
    const connection = this.client.unwrap<ConnectionManager>();
    // Protected in Nest; a client of the application may have connected by itself.
    const { channel } = this.client as unknown as { channel?: ChannelWrapper | null };
    listenToChannels(connection, channel);
    return connection;
  }

  private async open(onClosed: () => void): Promise<RabbitMqChannel> {
    // The client has its connection at once, and makes its own channel when the broker has answered.
    const connecting = this.client.connect();
    const [connection] = await Promise.all([this.connection(), connecting]);
    const channel = new RabbitMqChannel(connection, onClosed, this.publishTimeoutMs);
    await channel.ready();
    return channel;
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
