import type { StoredEntry } from './outbox-entry.js';

/** Which entries to read. */
export interface EntrySelection {
  readonly destination: string;
  /** The positions of entries that are in hand already. */
  readonly except: readonly string[];
  readonly limit: number;
}

/** Why an entry is given up. */
export interface DeadLetterReason {
  readonly attempts: number;
  readonly error: string;
}

/**
 * Port: the outbox table, as the relay uses it. No method takes part in a transaction of the caller, none holds one
 * open when it returns, and none locks rows to claim them. Any may reject when the database can't be reached; the
 * relay then tries again later.
 */
export abstract class OutboxStore {
  /**
   * Resolves when the tables are there in the version that this package needs.
   *
   * @throws {@link CqrsOutboxError} with code `SCHEMA_MISSING` or `SCHEMA_VERSION`; any other error says that the
   *   database could not be asked
   */
  abstract checkSchema(): Promise<void>;

  /**
   * The first entries in the order of their positions, by one plain read of one snapshot. It never reads on after a
   * position: a transaction that has drawn a lower one may commit later, and what follows it of its key must not be
   * seen without it. Of a key that waits for a retry, none is returned before
   * the retry is due, by the database's clock, and then the refused entry alone.
   */
  abstract fetch(selection: EntrySelection): Promise<StoredEntry[]>;

  /**
   * The entry with this message id at a destination, preceded by all earlier entries of its key, in order; at most
   * `limit`. Empty when there is no such entry. Waiting retries don't count.
   */
  abstract fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]>;

  /** Deletes published entries, and what was remembered of their retries, with one statement each. */
  abstract remove(entries: readonly StoredEntry[]): Promise<void>;

  /** Counts a refusal of an entry and parks its key for `delayMs` from now on, by the database's clock. */
  abstract reschedule(entry: StoredEntry, delayMs: number, error: string): Promise<void>;

  /** Moves an entry to the dead letters, in one transaction. */
  abstract bury(entry: StoredEntry, reason: DeadLetterReason): Promise<void>;

  /** How many entries wait for a destination. */
  abstract count(destination: string): Promise<number>;
}
