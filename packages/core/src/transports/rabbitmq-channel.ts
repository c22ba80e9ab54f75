import { messageOf } from '../cqrs-outbox.error.js';
import type { ChannelWrapper, ConfirmChannel, ConnectionManager } from './rabbitmq-connection.js';
import { TimeoutError } from './time-limit.js';

/** No frame can hold this message. */
export class UnencodableError extends Error {
  constructor(cause: unknown) {
    super(`It can't be encoded: ${messageOf(cause)}`, { cause });
  }
}

/** The broker has closed the channel for a message that is larger than it takes; perhaps for another one. */
export class OversizeError extends Error {
  constructor(
    cause: Error,
    /** The largest body that this broker takes, by its own words. */
    readonly maxBytes: number,
  ) {
    super(`The broker takes ${maxBytes} bytes at most: ${cause.message}`, { cause });
  }
}

/** RabbitMQ's words for it, since 3.8: rabbit_channel.erl, check_msg_size. The size is that of the body alone. */
const OVERSIZE = /message size \d+ is larger than (?:configured )?max size (\d+)/;

/** A confirm channel that comes back with the connection; what was unconfirmed when it closed has failed. */
export class RabbitMqChannel {
  readonly #returned = new Set<string>();
  readonly #wrapper: ChannelWrapper;
  #channel: ConfirmChannel | undefined;
  /** For what the broker has closed the channel for good. */
  #refusal: OversizeError | undefined;

  /**
   * @param connection its channels' errors are listened to
   * @param onClosed called when the broker has closed the channel, and a new one is needed on the same connection
   */
  constructor(
    connection: ConnectionManager,
    private readonly onClosed: () => void,
    /** How long a confirm may take. */
    private readonly timeoutMs: number,
  ) {
    this.#wrapper = connection.createChannel({
      json: false,
      confirm: true,
      setup: async (channel) => this.use(channel),
    });
  }

  ready(): Promise<void> {
    return this.#wrapper.waitForConnect();
  }

  close(): Promise<void> {
    return this.#wrapper.close();
  }

  /**
   * @throws {@link OversizeError} when the channel was closed for a message that is too large, sent or not sent yet
   * @throws {@link TimeoutError} when the confirm has not come in time
   */
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    messageId: string,
  ): Promise<{ isReturned: boolean }> {
    return new Promise((resolve, reject) => {
      const channel = this.#channel;
      if (!channel) return reject(this.#refusal ?? new Error('The connection to RabbitMQ is down'));
      // Not by withTimeLimit: there is one for each message, and all that it adds to this promise counts.
      const timer = setTimeout(
        () => reject(new TimeoutError(`The confirm of ${messageId}`, this.timeoutMs)),
        this.timeoutMs,
      );
      try {
        channel.publish(exchange, routingKey, content, options, (error) => {
          clearTimeout(timer);
          // The broker returns a message before it confirms it.
          const isReturned = this.#returned.delete(messageId);
          if (!error) return resolve({ isReturned });
          reject(this.#refusal ?? (error instanceof Error ? error : new Error('The channel was closed')));
        });
      } catch (error) {
        clearTimeout(timer);
        // amqplib throws at once for a channel that is closed, and for what it can't encode.
        const isClosed = error instanceof Error && error.name === 'IllegalOperationError';
        reject(isClosed ? (this.#refusal ?? error) : new UnencodableError(error));
      }
    });
  }

  private use(channel: ConfirmChannel): void {
    this.#channel = channel;
    channel.on('return', ({ properties }) => this.#returned.add(String(properties.messageId)));
    channel.on('error', (error) => this.onError(error));
    channel.on('close', () => {
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#returned.clear();
    });
  }

  /**
   * amqp-connection-manager opens a channel again with the next connection only. So every error but the one that is
   * understood here is thrown on, by which amqplib ends the connection: with the next one, Nest's client also declares its
   * queue or exchange, which may be what was missing.
   */
  private onError(error: unknown): void {
    const [, maxBytes] = OVERSIZE.exec(messageOf(error)) ?? [];
    if (maxBytes === undefined || !(error instanceof Error)) throw error;
    this.#refusal = new OversizeError(error, Number(maxBytes));
    this.onClosed();
    // It is closed already: this only takes the wrapper off the connection.
    void this.#wrapper.close().catch(() => undefined);
  }
}
