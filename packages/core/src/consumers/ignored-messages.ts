import { Logger } from '@nestjs/common';
import { describeMessage, type ReceivedMessage } from './received-message.js';

/** So many reasons are warned of and remembered: anyone who can publish can make up more names. */
const MAX_REASONS = 100;

/** Warns of messages that are not for this application, once for each reason: a topic may be full of others' events. */
export class IgnoredMessages {
  readonly #logger = new Logger('EventConsumer');
  readonly #warnedOf = new Set<string>();
  #isFull = false;

  /** @param reason the same for all messages that are alike: `No event class has the name x` */
  warnOf(message: ReceivedMessage, reason: string): void {
    if (this.#isFull || this.#warnedOf.has(reason)) return;
    if (this.#warnedOf.size === MAX_REASONS) {
      this.#isFull = true;
      this.#logger.warn(
        `Over ${MAX_REASONS} kinds of messages were ignored: further ones are counted, in EventConsumer.counts.`,
      );
      return;
    }
    this.#warnedOf.add(reason);
    this.#logger.warn(
      `${reason}: ${describeMessage(message)} is acknowledged, not handled. Others like it are counted.`,
    );
  }
}
