import type { Lease, OutboxEntry } from '@cqrs-outbox/core';
import type { Clock } from '../clock/clock.js';
import {
  keptOf,
  keyOf,
  type ArchiveRow,
  type DeadLetterRow,
  type DelayedRow,
  type EntryRow,
  type InstanceRow,
  type KeptEntry,
  type RejectedRow,
  type RetryRow,
  type SlotRow,
} from './in-memory-rows.js';
import type { InMemoryTransaction } from './in-memory-transaction.js';

/** A pair of message and handler, with the transaction that has inserted it: while that is open, others wait for it. */
export interface InboxRow {
  readonly messageId: string;
  readonly recordedBy: InMemoryTransaction;
  readonly recordedAt: number;
}

/**
 * The tables of one application; nothing of it is shared with another one. The stores are its methods as a database has
 * statements: each does what it does in one go, so that whole operations can be interleaved in any order.
 *
 * @example
 * const database = new InMemoryDatabase(new TestClock());
 * const [outbox, leases] = [new InMemoryOutboxStore(database), new InMemoryLeaseStore(database)];
 */
export class InMemoryDatabase {
  /** The outbox by position, in that order. @internal */
  entries = new Map<bigint, EntryRow>();
  /** In the order in which they are due. @internal */
  delayed: readonly DelayedRow[] = [];
  /** By destination and key. @internal */
  readonly retries = new Map<string, RetryRow>();
  /** In the order in which they were given up. @internal */
  deadLetters: readonly DeadLetterRow[] = [];
  /** By message id and destination, in the order in which they were published first. @internal */
  readonly archive = new Map<string, ArchiveRow>();
  /** @internal */
  readonly slots = new Map<number, SlotRow>();
  /** In the order in which they have registered. @internal */
  readonly instances = new Map<string, InstanceRow>();
  /** @internal */
  readonly inbox = new Map<string, InboxRow>();
  /** In the order in which they were set aside. @internal */
  rejected: readonly RejectedRow[] = [];
  /** Keys by the transaction that has locked each. @internal */
  readonly keyLocks = new Map<string, InMemoryTransaction>();
  #lastId = 0n;

  constructor(readonly clock: Clock) {}

  /** A position, or another number that ascends. @internal */
  nextId(): bigint {
    return ++this.#lastId;
  }

  /** Writes what a transaction has appended. Delayed entries stay out of the outbox. @internal */
  insert(entries: readonly OutboxEntry[]): void {
    const delayed: DelayedRow[] = [];
    for (const entry of entries) {
      const { availableAt } = entry;
      if (availableAt) delayed.push({ availableAt: availableAt.getTime(), entry: keptOf(entry) });
      else this.append(keptOf(entry));
    }
    // The sort is stable: those that are due at the same time stay in the order of their appends.
    if (delayed.length > 0) {
      this.delayed = [...this.delayed, ...delayed].sort((a, b) => a.availableAt - b.availableAt);
    }
  }

  /** Gives an entry the next position. @internal */
  append(entry: KeptEntry): void {
    const position = this.nextId();
    this.entries.set(position, { position, entry });
  }

  /** Puts rows where they were before. @internal */
  putBack(rows: readonly EntryRow[]): void {
    const all = [...this.entries.values(), ...rows].sort((a, b) => Number(a.position - b.position));
    this.entries = new Map(all.map((row) => [row.position, row]));
  }

  /** Whether a slot is leased by this very lease: what every write of the relay is fenced by. @internal */
  isValid({ slot, owner, epoch }: Lease): boolean {
    const row = this.slots.get(slot);
    return row?.owner === owner && row.epoch === epoch;
  }

  /** The entry at a position, if one of the leases covers it. @internal */
  leasedEntry(position: string, leases: readonly Lease[]): EntryRow | undefined {
    const row = this.entries.get(BigInt(position));
    const lease = row && leases.find(({ slot }) => slot === row.entry.slot);
    return lease && this.isValid(lease) ? row : undefined;
  }

  /** Deletes an entry, and what is remembered of its failures. @internal */
  delete({ position, entry }: EntryRow): void {
    this.entries.delete(position);
    const key = keyOf(entry.destination, entry.key);
    if (this.retries.get(key)?.position === position) this.retries.delete(key);
  }

  /** The retry that holds a key back. One whose entry is gone holds nothing. @internal */
  retryOf({ destination, key }: KeptEntry): RetryRow | undefined {
    const retry = this.retries.get(keyOf(destination, key));
    return retry && this.entries.has(retry.position) ? retry : undefined;
  }

  /** The keys, with their destinations, that dead letters park. @internal */
  parkedKeys(): Set<string> {
    const parking = this.deadLetters.filter(({ isParking }) => isParking);
    return new Set(parking.map(({ entry }) => keyOf(entry.destination, entry.key)));
  }
}
