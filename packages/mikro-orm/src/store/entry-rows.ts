import {
  fromStoredHeaders,
  toStoredHeaders,
  type DeadLetterPolicy,
  type OutboxEntry,
  type StoredEntry,
} from '@cqrs-outbox/core';
import type { Selectable } from 'kysely';
import { ENTRY_COLUMNS, type EntryColumns, type OutboxTable } from '../schema/tables.js';

/** A row of the outbox with what is remembered of its refusals. */
export type FetchedRow = Selectable<OutboxTable> & { attempts: number | string | null };

/** What a row is inserted with, in the order of {@link INSERTED_COLUMNS}. */
export function toValues(entry: OutboxEntry): unknown[] {
  return [
    entry.id,
    entry.destination,
    entry.topic,
    entry.key,
    entry.name,
    entry.version,
    entry.source,
    entry.occurredAt.getTime(),
    entry.correlationId,
    entry.causationId ?? null,
    entry.contentType,
    JSON.stringify(toStoredHeaders(entry)),
    entry.payload,
    entry.deadLetterPolicy,
    entry.slot,
  ];
}

export const INSERTED_COLUMNS = [...ENTRY_COLUMNS, 'slot'] as const;

export function toEntry(row: FetchedRow): StoredEntry {
  return {
    ...toContent(row),
    position: String(row.id),
    attempts: Number(row.attempts ?? 0),
    slot: row.slot,
  };
}

/** What the tables of entries have in common. A row that was edited by hand must not stop the others. */
export function toContent(
  row: Selectable<EntryColumns>,
): Omit<StoredEntry, 'position' | 'attempts' | 'slot'> {
  const stored = row.headers === '{}' ? {} : readHeaders(row.headers);
  const occurredAt = new Date(Number(row.occurred_at));
  const hasTime = !Number.isNaN(occurredAt.getTime());
  const { headers, contentEncoding } = fromStoredHeaders(stored ?? {});
  return {
    id: row.message_id,
    destination: row.destination,
    topic: row.topic,
    key: row.message_key,
    name: row.name,
    version: row.version,
    source: row.source,
    occurredAt: hasTime ? occurredAt : new Date(0),
    correlationId: row.correlation_id,
    causationId: row.causation_id ?? undefined,
    contentType: row.content_type,
    headers,
    contentEncoding,
    payload: row.payload && asBuffer(row.payload),
    deadLetterPolicy: readPolicy(row.dead_letter_policy),
    ...(stored && hasTime ? {} : { unreadable: faultsOf(stored, hasTime) }),
  };
}

function faultsOf(headers: object | undefined, hasTime: boolean): string {
  const faults = [
    ...(headers ? [] : ['its headers are no JSON object of texts']),
    ...(hasTime ? [] : ['its time is none']),
  ];
  return `The row can't be read: ${faults.join(', ')}.`;
}

/** libSQL gives bytes that are no `Buffer`. None of the drivers writes to them again. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
}

function readPolicy(policy: string): DeadLetterPolicy {
  return policy === 'park' ? 'park' : 'continue';
}

/** Undefined for what is no JSON object of texts. */
export function readHeaders(json: string): Record<string, string> | undefined {
  const headers = parse(json);
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return undefined;
  const areTexts = Object.values(headers).every((value) => typeof value === 'string');
  return areTexts ? (headers as Record<string, string>) : undefined;
}

/** Undefined for what is no JSON. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Rows and bytes of one INSERT at most: MariaDB's packet has 16 MiB, and bytes take twice their size in it. */
const MAX_ROWS = 1_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** Cuts entries into what one INSERT can hold, in order. As a rule that is all of them. */
export function inserts(entries: readonly OutboxEntry[]): (readonly OutboxEntry[])[] {
  const batches: OutboxEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry.payload?.length ?? 0;
    const batch = batches.at(-1);
    if (!batch || batch.length === MAX_ROWS || bytes + size > MAX_BYTES) {
      batches.push([entry]);
      bytes = size;
    } else {
      batch.push(entry);
      bytes += size;
    }
  }
  return batches;
}
