import type { Message } from '../messages/message.js';

/**
 * What becomes of a key whose entry was given up: `continue` publishes its followers, `park` holds them back until a
 * person has requeued or discarded the dead letter.
 */
export type DeadLetterPolicy = 'continue' | 'park';

/** A row of the outbox: a message for one destination. It exists until it was published; there is no status. */
export interface OutboxEntry extends Message {
  /** Name of the transport that gets it. */
  readonly destination: string;
  /** The share of the keys that it belongs to, see {@link slotOf}. */
  readonly slot: number;
  readonly deadLetterPolicy: DeadLetterPolicy;
  /** Not published before, by the database's clock; undefined: at once. */
  readonly availableAt: Date | undefined;
  /** Whether its transaction locks the key before the insert, so that the key's order is that of the commits in any case. */
  readonly strictOrder: boolean;
}

/** An entry as it was read back. */
export interface StoredEntry extends Omit<OutboxEntry, 'availableAt' | 'strictOrder'> {
  /** Position in the outbox: ascending in commit order for each key. A decimal string, as it may exceed 2^53. */
  readonly position: string;
  /** How many times the transport has refused it. */
  readonly attempts: number;
  /** Why the row can't be read as an entry; what could not be read of it is empty. */
  readonly unreadable?: string;
}
