import { Logger } from '@nestjs/common';
import { WIRE_HEADERS } from '../messages/message.js';
import { describeMessage, type ReceivedMessage } from './received-message.js';

/** So many names are warned of and remembered: anyone who can publish can make up more. */
const MAX_NAMES = 100;

/** Warns of event names without a class here, once for each: a topic may be full of others' events. */
export class UnknownNames {
  readonly #logger = new Logger('EventConsumer');
  readonly #warnedOf = new Set<string>();
  #isFull = false;

  warnOf(message: ReceivedMessage): void {
    const name = message.headers[WIRE_HEADERS.name] ?? '';
    if (this.#isFull || this.#warnedOf.has(name)) return;
    if (this.#warnedOf.size === MAX_NAMES) {
      this.#isFull = true;
      this.#logger.warn(
        `Over ${MAX_NAMES} event names without a class here: further ones are counted, in EventConsumer.counts.`,
      );
      return;
    }
    this.#warnedOf.add(name);
    this.#logger.warn(
      `No event class has the name of ${describeMessage(message)}: acknowledged, not handled. Others with it are counted.`,
    );
  }
}
