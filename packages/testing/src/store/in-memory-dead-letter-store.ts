import {
  DeadLetterStore,
  type DeadLetter,
  type DeadLetterPage,
  type DeadLetterSelection,
} from '@cqrs-outbox/core';
import type { InMemoryDatabase } from './in-memory-database.js';
import { copyOf, keyOf, type DeadLetterRow } from './in-memory-rows.js';

/** How many are requeued or discarded at a time. */
const MOVED_AT_ONCE = 500;

/** The dead letters in memory. */
export class InMemoryDeadLetterStore extends DeadLetterStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  async list({ after, limit, ...selection }: DeadLetterPage): Promise<DeadLetter[]> {
    return this.select(selection)
      .filter(({ deadLetterId }) => deadLetterId > BigInt(after ?? 0))
      .slice(0, limit)
      .map(toDeadLetter);
  }

  async newest(): Promise<string | undefined> {
    const newest = this.database.deadLetters.at(-1);
    return newest && String(newest.deadLetterId);
  }

  async requeue(selection: DeadLetterSelection): Promise<number> {
    const waiting = new Set([...this.database.entries.values()].map(({ entry }) => messageOf(entry)));
    const rows = this.select(selection)
      .sort((a, b) => Number(a.position - b.position))
      .slice(0, MOVED_AT_ONCE);
    this.delete(rows);
    const missing = rows.filter(({ entry }) => !waiting.has(messageOf(entry)));
    this.database.putBack(
      missing.map(({ position, entry, unreadable }) => {
        const row = { position, entry: { ...entry, slot: 0 } };
        return unreadable === undefined ? row : { ...row, unreadable };
      }),
    );
    return rows.length;
  }

  async discard(selection: DeadLetterSelection): Promise<number> {
    return this.delete(this.select(selection).slice(0, MOVED_AT_ONCE));
  }

  async purge(retentionMs: number, limit: number): Promise<number> {
    const before = this.database.clock.now() - retentionMs;
    const old = this.database.deadLetters.filter(
      ({ failedAt, isParking }) => failedAt < before && !isParking,
    );
    return this.delete(old.slice(0, limit));
  }

  private select({ messageId, destination, key, name, upTo }: DeadLetterSelection): DeadLetterRow[] {
    return this.database.deadLetters.filter(
      ({ entry, deadLetterId }) =>
        (upTo === undefined || deadLetterId <= BigInt(upTo)) &&
        entry.id === (messageId ?? entry.id) &&
        entry.destination === (destination ?? entry.destination) &&
        entry.key === (key ?? entry.key) &&
        entry.name === (name ?? entry.name),
    );
  }

  private delete(rows: readonly DeadLetterRow[]): number {
    const gone = new Set(rows);
    this.database.deadLetters = this.database.deadLetters.filter((row) => !gone.has(row));
    return rows.length;
  }
}

/** A row as it is shown. */
export function toDeadLetter(row: DeadLetterRow): DeadLetter {
  const { deadLetterId, attempts, error, stack, history, failedAt, isParking } = row;
  const { slot: _, ...entry } = copyOf(row.entry);
  return {
    ...entry,
    deadLetterId: String(deadLetterId),
    attempts,
    error,
    stack,
    history: [...history],
    failedAt: new Date(failedAt),
    isParking,
  };
}

function messageOf({ id, destination }: { id: string; destination: string }): string {
  return keyOf(id, destination);
}
