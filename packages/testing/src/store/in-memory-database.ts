import type { OutboxEntry, RejectedMessage } from '@cqrs-outbox/core';
import type { Clock } from '../clock/clock.js';
import type { InMemoryTransaction } from './in-memory-transaction.js';

/** A row of the outbox. */
export interface EntryRow {
  readonly position: bigint;
  readonly entry: OutboxEntry;
}

/** A key whose head entry was refused. */
export interface RetryRow {
  readonly position: bigint;
  readonly attempts: number;
  readonly retryAt: number;
  readonly error: string;
}

/** An entry that was given up, see {@link InMemoryOutboxStore.deadLetters}. */
export interface DeadLetter {
  readonly entry: OutboxEntry;
  readonly attempts: number;
  readonly error: string;
}

/** The rows of one application; nothing of it is shared with another one. */
export class InMemoryDatabase {
  /** In the order of their positions. */
  entries: readonly EntryRow[] = [];
  readonly retries = new Map<string, RetryRow>();
  readonly deadLetters: DeadLetter[] = [];
  /** Inbox rows, with the transaction that has inserted each: while it is open, others wait for it. */
  readonly inbox = new Map<string, InMemoryTransaction>();
  readonly rejected: RejectedMessage[] = [];
  #lastPosition = 0n;

  constructor(readonly clock: Clock) {}

  insert(entries: readonly OutboxEntry[]): void {
    const rows = entries.map((entry) => ({ position: ++this.#lastPosition, entry: copyOf(entry) }));
    this.entries = [...this.entries, ...rows];
  }

  delete(positions: ReadonlySet<bigint>): void {
    this.entries = this.entries.filter(({ position }) => !positions.has(position));
  }

  /** The retry that holds a key back. One whose entry is gone holds nothing. */
  retryOf({ destination, key }: OutboxEntry): RetryRow | undefined {
    const retry = this.retries.get(keyOf(destination, key));
    return retry && this.entries.some(({ position }) => position === retry.position) ? retry : undefined;
  }
}

/** One map key out of several strings, whatever characters they have. */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/** Shares nothing with the original, as if it had been written to a disk. */
export function copyOf<T extends OutboxEntry>(entry: T): T {
  return {
    ...entry,
    occurredAt: new Date(entry.occurredAt),
    headers: { ...entry.headers },
    payload: entry.payload && Buffer.from(entry.payload),
  };
}
