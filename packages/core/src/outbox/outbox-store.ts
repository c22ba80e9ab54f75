import type { Lease } from '../relay/leases/lease-store.js';
import type { StoredEntry } from './outbox-entry.js';

/** Which entries to read. */
export interface EntrySelection {
  readonly destination: string;
  /** The slots to read, all of one count of slots. */
  readonly slots: readonly number[];
  readonly slotCount: number;
  /** At most so many of each slot. */
  readonly limitPerSlot: number;
}

/** What {@link OutboxStore.fetch} has found. */
export interface FetchedEntries {
  /** In the order of their positions. Empty when `hasMisplaced`. */
  readonly entries: readonly StoredEntry[];
  /** Whether the destination has entries whose slot is none of this count: they must be assigned before any is read. */
  readonly hasMisplaced: boolean;
}

/** Why a transport did not take an entry. */
export interface Failure {
  readonly error: string;
  readonly stack: string | undefined;
}

/**
 * Port: the outbox table, as the relay uses it. No method takes part in a transaction of the caller, and none locks rows
 * to claim them. Each write is atomic and is *fenced*: it takes effect for entries whose slot is leased, at the moment of
 * the write, by exactly the lease that is given, and does nothing for others. Each may be repeated after a failure whose
 * outcome is not known. Any may reject when the database can't be reached; the relay then tries again later.
 *
 * No write keeps a lock over a round trip of the client: a process that is frozen must not stop the others.
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
   * The first entries of each slot in the order of their positions, by one plain read of one snapshot. It never reads on
   * after a position: a transaction that has drawn a lower one may commit later, and what follows it of its key must not
   * be seen without it. For the same reason nothing is returned while the snapshot has misplaced entries of the destination.
   *
   * Of a key that waits for a retry, the refused entry is returned when the retry is due, by the database's clock, and none
   * behind it; those before it, which are requeued dead letters, are not held back, and have no attempts. Of a key that is
   * parked by a dead letter (policy `park`), none is returned.
   */
  abstract fetch(selection: EntrySelection): Promise<FetchedEntries>;

  /**
   * Gives misplaced entries of a destination the slot that {@link slotOf} tells for this count; 1,000 at most each time.
   * Not fenced, since all who do it at the same time do the same.
   *
   * @returns how many were misplaced
   */
  abstract assignSlots(destination: string, slotCount: number): Promise<number>;

  /**
   * The entry with this message id at a destination, preceded by all earlier entries of its key, in order; at most
   * `limit`. Empty when there is no such entry, or when a dead letter parks its key. Waiting retries don't count.
   */
  abstract fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]>;

  /**
   * Deletes published entries, and what was remembered of their failures.
   *
   * @returns how many it has deleted: fewer than given when a lease was lost
   */
  abstract remove(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<number>;

  /**
   * Counts a refusal of an entry, adds it to the entry's history, and parks its key for `delayMs` from now on, by the
   * database's clock.
   *
   * @returns false when the lease was lost, or the entry is gone
   */
  abstract reschedule(entry: StoredEntry, delayMs: number, failure: Failure, lease: Lease): Promise<boolean>;

  /**
   * Counts the last refusal of an entry and moves it to the dead letters, with the reason, the stack and the history.
   * With the policy `park` its key stays parked until the dead letter is requeued or discarded.
   *
   * @returns false when the lease was lost, or the entry is gone
   */
  abstract bury(entry: StoredEntry, failure: Failure, lease: Lease): Promise<boolean>;

  /**
   * Moves delayed entries that are due into the outbox, where they get their position now; `limit` at most, the earliest
   * first. Fenced by a lease of any slot: that of the first slot, so that one relay does it.
   */
  abstract promote(lease: Lease, limit: number): Promise<PromotedEntries>;

  /** How many entries wait for a destination, delayed ones included. */
  abstract count(destination: string): Promise<number>;
}

/** What {@link OutboxStore.promote} has done. */
export interface PromotedEntries {
  readonly promoted: number;
  /** Milliseconds until the next delayed entry is due, by the database's clock; undefined when there is none. */
  readonly nextInMs: number | undefined;
}
