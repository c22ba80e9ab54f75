import { WIRE_HEADERS } from '../messages/message.js';
import type { ReceivedMessage } from './received-message.js';

/** So many messages are remembered; of more, the oldest begin to count anew. */
const MAX_MESSAGES = 1_000;

/**
 * How often messages have failed here before they were given back to their broker. Without it, a message that is taken
 * away again and again, as by the rebalances of a Kafka group, would never be given up.
 */
export class AttemptMemory {
  readonly #attempts = new Map<string, number>();

  keep(message: ReceivedMessage, attempts: number): void {
    if (attempts === 0) return;
    this.#attempts.set(identityOf(message), attempts);
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > MAX_MESSAGES && oldest !== undefined) this.#attempts.delete(oldest);
  }

  /** @returns how often the message has failed, and forgets it */
  take(message: ReceivedMessage): number {
    const identity = identityOf(message);
    const attempts = this.#attempts.get(identity) ?? 0;
    this.#attempts.delete(identity);
    return attempts;
  }
}

/** The message's id; where it was, for what has none, or is none of ours. */
function identityOf({ headers, coordinates }: ReceivedMessage): string {
  return headers[WIRE_HEADERS.id] ?? coordinates;
}
