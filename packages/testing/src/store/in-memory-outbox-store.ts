import {
  OutboxStore,
  type DeadLetterReason,
  type EntrySelection,
  type OutboxEntry,
  type StoredEntry,
} from '@cqrs-outbox/core';
import {
  copyOf,
  keyOf,
  type DeadLetter,
  type EntryRow,
  type InMemoryDatabase,
} from './in-memory-database.js';

/** The outbox as a list in memory. Retries are due by the clock of {@link InMemoryStore}. */
export class InMemoryOutboxStore extends OutboxStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  /** What waits to be published, parked entries included, in the order of their positions. */
  entries(): StoredEntry[] {
    return this.database.entries.map((row) => this.stored(row));
  }

  /** What was given up, oldest first. */
  deadLetters(): DeadLetter[] {
    return this.database.deadLetters.map((letter) => ({ ...letter, entry: copyOf(letter.entry) }));
  }

  /** When the next parked key is due, in milliseconds since 1970 by the store's clock; undefined when none is parked. */
  nextRetryAt(): number | undefined {
    const times = this.database.entries.map(({ entry }) => this.database.retryOf(entry)?.retryAt ?? Infinity);
    const next = times.reduce((a, b) => Math.min(a, b), Infinity);
    return next === Infinity ? undefined : next;
  }

  async checkSchema(): Promise<void> {}

  async fetch({ destination, except, limit }: EntrySelection): Promise<StoredEntry[]> {
    const { entries, clock } = this.database;
    const now = clock.now();
    const inHand = new Set(except);
    return entries
      .filter(({ position, entry }) => entry.destination === destination && !inHand.has(String(position)))
      .filter(({ position, entry }) => {
        const retry = this.database.retryOf(entry);
        return !retry || (retry.position === position && retry.retryAt <= now);
      })
      .slice(0, limit)
      .map((row) => this.stored(row));
  }

  async fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]> {
    const ofDestination = this.database.entries.filter(({ entry }) => entry.destination === destination);
    const wanted = ofDestination.find(({ entry }) => entry.id === messageId);
    if (!wanted) return [];
    return ofDestination
      .filter(({ position, entry }) => entry.key === wanted.entry.key && position <= wanted.position)
      .slice(0, limit)
      .map((row) => this.stored(row));
  }

  async remove(entries: readonly StoredEntry[]): Promise<void> {
    this.database.delete(new Set(entries.map(({ position }) => BigInt(position))));
    for (const entry of entries) if (entry.attempts > 0) this.forgetRetry(entry);
  }

  async reschedule(entry: StoredEntry, delayMs: number, error: string): Promise<void> {
    this.database.retries.set(keyOf(entry.destination, entry.key), {
      position: BigInt(entry.position),
      attempts: entry.attempts + 1,
      retryAt: this.database.clock.now() + delayMs,
      error,
    });
  }

  async bury(entry: StoredEntry, { attempts, error }: DeadLetterReason): Promise<void> {
    const position = BigInt(entry.position);
    const row = this.database.entries.find((candidate) => candidate.position === position);
    if (row) this.database.deadLetters.push({ entry: copyOf(row.entry), attempts, error });
    this.database.delete(new Set([position]));
    this.forgetRetry(entry);
  }

  async count(destination: string): Promise<number> {
    return this.database.entries.filter(({ entry }) => entry.destination === destination).length;
  }

  private forgetRetry({ destination, key }: OutboxEntry): void {
    this.database.retries.delete(keyOf(destination, key));
  }

  private stored({ position, entry }: EntryRow): StoredEntry {
    const retry = this.database.retryOf(entry);
    const attempts = retry?.position === position ? retry.attempts : 0;
    return copyOf({ ...entry, position: String(position), attempts });
  }
}
