import { StatusStore, type OutboxFigures, type ParkedKey, type SlotBacklog } from '@cqrs-outbox/core';
import type { InMemoryDatabase } from './in-memory-database.js';
import { keyOf, type EntryRow, type KeptEntry } from './in-memory-rows.js';

/** How many parked keys are named. */
const MAX_PARKED_KEYS = 100;

/** Counts what is in an {@link InMemoryDatabase}. There are no locks that a transaction could hold others up with. */
export class InMemoryStatusStore extends StatusStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  async read(): Promise<OutboxFigures> {
    const { delayed, deadLetters, rejected } = this.database;
    const parkedKeys = [...this.retryingKeys(), ...this.keysOfDeadLetters()];
    return {
      backlogs: this.backlogs(),
      parkedKeys: parkedKeys.slice(0, MAX_PARKED_KEYS),
      parkedKeyCount: parkedKeys.length,
      delayed: countByDestination(delayed),
      deadLetters: countByDestination(deadLetters),
      inboxDeadLetters: rejected.length,
      openTransaction: undefined,
    };
  }

  private backlogs(): SlotBacklog[] {
    const rows = [...this.database.entries.values()];
    const groups = Map.groupBy(rows, ({ entry }) => keyOf(entry.destination, String(entry.slot)));
    return [...groups.values()].flatMap((group) => {
      const [first] = group;
      return first ? [this.backlog(first, group)] : [];
    });
  }

  private backlog({ entry: { destination, slot } }: EntryRow, group: readonly EntryRow[]): SlotBacklog {
    const oldest = group.reduce((a, { entry }) => Math.min(a, entry.occurredAt.getTime()), Infinity);
    const oldestAgeMs = Math.max(0, this.database.clock.now() - oldest);
    return { destination, slot, pending: group.length, oldestAgeMs };
  }

  private retryingKeys(): ParkedKey[] {
    const now = this.database.clock.now();
    return [...this.database.retries.values()].flatMap(({ position, attempts, error, retryAt }) => {
      const row = this.database.entries.get(position);
      if (!row) return [];
      const { destination, key } = row.entry;
      return [{ destination, key, attempts, error, retryInMs: Math.max(0, retryAt - now) }];
    });
  }

  private keysOfDeadLetters(): ParkedKey[] {
    const parking = this.database.deadLetters.filter(({ isParking }) => isParking);
    const byKey = new Map(
      parking.map(({ entry: { destination, key }, attempts, error }) => [
        keyOf(destination, key),
        { destination, key, attempts, error, retryInMs: undefined },
      ]),
    );
    return [...byKey.values()];
  }
}

function countByDestination(rows: readonly { readonly entry: KeptEntry }[]): Map<string, number> {
  const groups = Map.groupBy(rows, ({ entry }) => entry.destination);
  return new Map([...groups].map(([destination, group]) => [destination, group.length]));
}
