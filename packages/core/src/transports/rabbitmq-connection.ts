import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';

/** The part of amqplib's confirm channel that we use: core depends on no broker client. */
export interface ConfirmChannel {
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    confirmed: (error: unknown) => void,
  ): boolean;
  on(event: 'return', listener: (message: { properties: { messageId?: unknown } }) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
}

/** A channel of amqp-connection-manager, which opens it again with each connection. */
export interface ChannelWrapper {
  waitForConnect(): Promise<void>;
  close(): Promise<void>;
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

/** The part of amqp-connection-manager's connection that we use. */
export interface ConnectionManager {
  createChannel(options: {
    json: boolean;
    confirm: boolean;
    setup: (channel: ConfirmChannel) => Promise<void>;
  }): ChannelWrapper;
}

const listenedTo = new WeakSet<ConnectionManager>();

/**
 * Listens to the errors of each channel of a connection, Nest's own included. Without a listener, one that can't be opened
 * or set up while the connection breaks, or is closed, would end the process. It is opened again with the next
 * connection, and what is published until then fails.
 *
 * @param made one that is there already
 */
export function listenToChannels(connection: ConnectionManager, made?: ChannelWrapper | null): void {
  if (listenedTo.has(connection)) return;
  listenedTo.add(connection);
  made?.on('error', onChannelError);
  const createChannel = connection.createChannel.bind(connection);
  const createListenedTo: typeof createChannel = (options) => {
    const channel = createChannel(options);
    channel.on('error', onChannelError);
    return channel;
  };
  connection.createChannel = createListenedTo;
}

function onChannelError(error: unknown): void {
  new Logger('CqrsOutbox').debug(`A channel of RabbitMQ could not be opened: ${messageOf(error)}`);
}
