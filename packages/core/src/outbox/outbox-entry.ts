import type { Message } from '../messages/message.js';

/** A row of the outbox: a message for one destination. It exists until it was published; there is no status. */
export interface OutboxEntry extends Message {
  /** Name of the transport that gets it. */
  readonly destination: string;
}

/** An entry as it was read back. */
export interface StoredEntry extends OutboxEntry {
  /** Position in the outbox: ascending in commit order for each key. A decimal string, as it may exceed 2^53. */
  readonly position: string;
  /** How many times the transport has refused it. */
  readonly attempts: number;
}
