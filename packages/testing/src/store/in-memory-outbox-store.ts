import {
  OutboxStore,
  slotOf,
  slotsOf,
  type DeadLetter,
  type EntrySelection,
  type FailedAttempt,
  type Failure,
  type FetchedEntries,
  type Lease,
  type PromotedEntries,
  type StoredEntry,
} from '@cqrs-outbox/core';
import { toDeadLetter } from './in-memory-dead-letter-store.js';
import type { InMemoryDatabase } from './in-memory-database.js';
import { copyOf, keyOf, type EntryRow } from './in-memory-rows.js';

/** How many entries get a slot at a time. */
const ASSIGNED_AT_ONCE = 1_000;
/** How many refusals of an entry are remembered. */
const MAX_HISTORY = 20;

/** The outbox in memory. Retries and delayed entries are due by the clock of {@link InMemoryDatabase}. */
export class InMemoryOutboxStore extends OutboxStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  /** What waits to be published, parked entries included and delayed ones not, in the order of their positions. */
  entries(): StoredEntry[] {
    return this.rows().map((row) => this.stored(row));
  }

  /** What was given up, oldest first. */
  deadLetters(): DeadLetter[] {
    return this.database.deadLetters.map(toDeadLetter);
  }

  /** When the next retry or delayed entry is due, in milliseconds since 1970 by the store's clock; undefined when there is none. */
  nextDueAt(): number | undefined {
    const retries = this.rows().map(({ entry }) => this.database.retryOf(entry)?.retryAt ?? Infinity);
    const delayed = this.database.delayed.slice(0, 1).map(({ availableAt }) => availableAt);
    const next = [...retries, ...delayed].reduce((a, b) => Math.min(a, b), Infinity);
    return next === Infinity ? undefined : next;
  }

  /** Makes an entry one that can't be read, as if its row had been damaged. */
  damage(messageId: string, destination: string): void {
    for (const row of this.rows()) {
      if (row.entry.id !== messageId || row.entry.destination !== destination) continue;
      const damaged = { ...row, entry: { ...row.entry, headers: {} }, unreadable: 'It was damaged' };
      this.database.entries.set(row.position, damaged);
    }
  }

  async checkSchema(): Promise<void> {}

  async fetch(selection: EntrySelection): Promise<FetchedEntries> {
    const { destination, slots, slotCount, limitPerSlot } = selection;
    if (this.misplaced(destination, slotCount).length > 0) return { entries: [], hasMisplaced: true };
    const left = new Map(slots.map((slot) => [slot, limitPerSlot]));
    const parkedKeys = this.database.parkedKeys();
    const entries: StoredEntry[] = [];
    for (const row of this.rows()) {
      const { entry } = row;
      const room = left.get(entry.slot) ?? 0;
      if (entry.destination !== destination || room === 0) continue;
      if (parkedKeys.has(keyOf(destination, entry.key)) || !this.isDue(row)) continue;
      left.set(entry.slot, room - 1);
      entries.push(this.stored(row));
    }
    return { entries, hasMisplaced: false };
  }

  async assignSlots(destination: string, slotCount: number): Promise<number> {
    const rows = this.misplaced(destination, slotCount).slice(0, ASSIGNED_AT_ONCE);
    for (const row of rows) {
      const entry = { ...row.entry, slot: slotOf(row.entry.key, slotCount) };
      this.database.entries.set(row.position, { ...row, entry });
    }
    return rows.length;
  }

  async fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]> {
    const ofDestination = this.rows().filter(({ entry }) => entry.destination === destination);
    const wanted = ofDestination.find(({ entry }) => entry.id === messageId);
    if (!wanted || this.database.parkedKeys().has(keyOf(destination, wanted.entry.key))) return [];
    return ofDestination
      .filter(({ position, entry }) => entry.key === wanted.entry.key && position <= wanted.position)
      .slice(0, limit)
      .map((row) => this.stored(row));
  }

  async remove(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<number> {
    const rows = entries.flatMap(({ position }) => this.database.leasedEntry(position, leases) ?? []);
    for (const row of rows) this.database.delete(row);
    return rows.length;
  }

  async reschedule(entry: StoredEntry, delayMs: number, failure: Failure, lease: Lease): Promise<boolean> {
    const row = this.database.leasedEntry(entry.position, [lease]);
    if (!row) return false;
    this.database.retries.set(keyOf(row.entry.destination, row.entry.key), {
      position: row.position,
      // Out of what the caller has read: a call that is repeated counts once.
      attempts: entry.attempts + 1,
      retryAt: this.database.clock.now() + delayMs,
      error: failure.error,
      history: this.historyWith(row, failure, entry.attempts),
    });
    return true;
  }

  async bury(entry: StoredEntry, failure: Failure, lease: Lease): Promise<boolean> {
    const row = this.database.leasedEntry(entry.position, [lease]);
    if (!row) return false;
    const letter = {
      ...row,
      deadLetterId: this.database.nextId(),
      attempts: entry.attempts + 1,
      ...failure,
      history: this.historyWith(row, failure, entry.attempts),
      failedAt: this.database.clock.now(),
      isParking: row.entry.deadLetterPolicy === 'park',
    };
    this.database.deadLetters = [...this.database.deadLetters, letter];
    this.database.delete(row);
    return true;
  }

  async promote(lease: Lease, limit: number): Promise<PromotedEntries> {
    const now = this.database.clock.now();
    const due = this.database.delayed.filter(({ availableAt }) => availableAt <= now).slice(0, limit);
    const promoted = this.database.isValid(lease) ? due : [];
    for (const { entry } of promoted) this.database.append(entry);
    // What is due first stands first.
    this.database.delayed = this.database.delayed.slice(promoted.length);
    const next = this.database.delayed[0];
    return { promoted: promoted.length, nextInMs: next && Math.max(0, next.availableAt - now) };
  }

  async count(destination: string): Promise<number> {
    const all = [...this.rows(), ...this.database.delayed];
    return all.filter(({ entry }) => entry.destination === destination).length;
  }

  private rows(): EntryRow[] {
    return [...this.database.entries.values()];
  }

  private misplaced(destination: string, slotCount: number): EntryRow[] {
    const { first, last } = slotsOf(slotCount);
    return this.rows().filter(
      ({ entry: { destination: its, slot } }) => its === destination && (slot < first || slot > last),
    );
  }

  /** Whether no retry holds it back: neither its own that is not due, nor that of an earlier entry of its key. */
  private isDue({ position, entry }: EntryRow): boolean {
    const retry = this.database.retryOf(entry);
    if (!retry || position < retry.position) return true;
    return retry.position === position && retry.retryAt <= this.database.clock.now();
  }

  private historyWith({ position, entry }: EntryRow, { error }: Failure, before: number): FailedAttempt[] {
    const retry = this.database.retryOf(entry);
    const known = retry?.position === position ? retry : undefined;
    // The same refusal once more, of a call that is repeated, takes the place of the first one.
    const past = known && known.attempts > before ? known.history.slice(0, -1) : (known?.history ?? []);
    return [...past, { at: new Date(this.database.clock.now()), error }].slice(-MAX_HISTORY);
  }

  private stored({ position, entry, unreadable }: EntryRow): StoredEntry {
    const retry = this.database.retryOf(entry);
    const attempts = retry?.position === position ? retry.attempts : 0;
    const stored = { ...copyOf(entry), position: String(position), attempts };
    return unreadable === undefined ? stored : { ...stored, unreadable };
  }
}
