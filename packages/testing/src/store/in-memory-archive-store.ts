import { ArchiveStore, type ArchiveSelection, type Lease, type StoredEntry } from '@cqrs-outbox/core';
import type { InMemoryDatabase } from './in-memory-database.js';
import { copyOf, keyOf, type ArchiveRow } from './in-memory-rows.js';

/** How many are looked at in one step of a replay. */
const REPLAYED_AT_ONCE = 500;

/** The archive in memory. */
export class InMemoryArchiveStore extends ArchiveStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  async add(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<void> {
    const { archive, clock } = this.database;
    for (const { position } of entries) {
      const row = this.database.leasedEntry(position, leases);
      if (!row) continue;
      const key = keyOf(row.entry.id, row.entry.destination);
      if (archive.has(key)) continue;
      const archived = { archiveId: this.database.nextId(), publishedAt: clock.now(), entry: row.entry };
      archive.set(key, archived);
    }
  }

  async replay(
    selection: ArchiveSelection,
    after: string | undefined,
  ): Promise<{ replayed: number; last: string | undefined }> {
    const waiting = new Set(
      [...this.database.entries.values()].map(({ entry }) => keyOf(entry.id, entry.destination)),
    );
    const found = [...this.database.archive.values()].filter(
      (row) => row.archiveId > BigInt(after ?? 0) && matches(row, selection),
    );
    const page = found.slice(0, REPLAYED_AT_ONCE);
    const copies = page.filter(({ entry }) => !waiting.has(keyOf(entry.id, entry.destination)));
    for (const { entry } of copies) this.database.append({ ...copyOf(entry), slot: 0 });
    const isLastPage = page.length === found.length;
    return { replayed: copies.length, last: isLastPage ? undefined : String(page.at(-1)?.archiveId) };
  }

  async purge(retentionMs: number, limit: number): Promise<number> {
    const { archive, clock } = this.database;
    const before = clock.now() - retentionMs;
    const old = [...archive].filter(([, { publishedAt }]) => publishedAt < before).slice(0, limit);
    for (const [key] of old) archive.delete(key);
    return old.length;
  }
}

function matches({ entry, publishedAt }: ArchiveRow, selection: ArchiveSelection): boolean {
  const { from, to, key, name, destination } = selection;
  return (
    publishedAt >= (from?.getTime() ?? -Infinity) &&
    publishedAt < (to?.getTime() ?? Infinity) &&
    entry.key === (key ?? entry.key) &&
    entry.name === (name ?? entry.name) &&
    entry.destination === (destination ?? entry.destination)
  );
}
