import type { RmqContext } from '@nestjs/microservices';
import type { Keeper } from './keeper.js';

/** The part of amqplib's channel that we use; what stands in for one in a unit test may not have it. */
interface ClosingChannel {
  once?(event: 'close', listener: () => void): unknown;
}

type Listener = (cause: unknown) => void;

/**
 * Hears when RabbitMQ's channels close: what was not acknowledged is then delivered again, to this or another consumer.
 * One listener for each channel, however many messages of it are in hand.
 */
export class ChannelWatch {
  readonly #listeners = new WeakMap<ClosingChannel, Set<Listener>>();

  keeperFor(context: RmqContext): Keeper {
    const listeners = this.listenersOf(context.getChannelRef() as ClosingChannel);
    let added: Listener | undefined;
    return {
      start: (onLost) => listeners.add((added = onLost)),
      stop: () => added && listeners.delete(added),
    };
  }

  private listenersOf(channel: ClosingChannel): Set<Listener> {
    const known = this.#listeners.get(channel);
    if (known) return known;
    const listeners = new Set<Listener>();
    this.#listeners.set(channel, listeners);
    channel.once?.('close', () => {
      for (const listener of listeners) listener(new Error('The channel was closed'));
    });
    return listeners;
  }
}
