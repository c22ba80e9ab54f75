import type { OutboxEntry, StoredEntry } from '@cqrs-outbox/core';
import type { Insertable, Selectable } from 'kysely';
import type { OutboxTable } from '../schema/tables.js';

/** A row of the outbox with what is remembered of its refusals. */
export type FetchedRow = Selectable<OutboxTable> & { attempts: number | string | null };

export function toRow(entry: OutboxEntry): Insertable<OutboxTable> {
  return {
    message_id: entry.id,
    destination: entry.destination,
    topic: entry.topic,
    message_key: entry.key,
    name: entry.name,
    version: entry.version,
    source: entry.source,
    occurred_at: entry.occurredAt.getTime(),
    correlation_id: entry.correlationId,
    causation_id: entry.causationId ?? null,
    content_type: entry.contentType,
    headers: JSON.stringify(entry.headers),
    payload: entry.payload,
  };
}

export function toEntry(row: FetchedRow): StoredEntry {
  return {
    position: String(row.id),
    attempts: Number(row.attempts ?? 0),
    id: row.message_id,
    destination: row.destination,
    topic: row.topic,
    key: row.message_key,
    name: row.name,
    version: row.version,
    source: row.source,
    occurredAt: new Date(Number(row.occurred_at)),
    correlationId: row.correlation_id,
    causationId: row.causation_id ?? undefined,
    contentType: row.content_type,
    headers: JSON.parse(row.headers) as Record<string, string>,
    payload: row.payload && Buffer.from(row.payload),
  };
}

/** Rows and bytes of one INSERT at most: MariaDB's packet has 16 MiB, and bytes take twice their size in it. */
const MAX_ROWS = 1_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** Cuts entries into what one INSERT can hold, in order. As a rule that is all of them. */
export function* inserts(entries: readonly OutboxEntry[]): Generator<Insertable<OutboxTable>[]> {
  let rows: Insertable<OutboxTable>[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry.payload?.length ?? 0;
    if (rows.length > 0 && (rows.length === MAX_ROWS || bytes + size > MAX_BYTES)) {
      yield rows;
      rows = [];
      bytes = 0;
    }
    rows.push(toRow(entry));
    bytes += size;
  }
  if (rows.length > 0) yield rows;
}
