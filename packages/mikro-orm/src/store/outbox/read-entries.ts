import { slotsOf, type EntrySelection, type FetchedEntries, type StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS } from '../../schema/tables.js';
import { toEntry, type FetchedRow as EntryRow } from '../entry-rows.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { columnList } from '../statements.js';
import { misplacedSlots, OutboxIndex, type LimitedRange } from './outbox-index.js';
import { NO_RETRIES, partsWithRetries, type EntryParts } from './retry-parts.js';

/** With whether the destination has retries that the statement has left out of account. */
type FetchedRow = EntryRow & { has_retries: number | string | null };

const COLUMNS = columnList(['id', 'slot', ...ENTRY_COLUMNS], 'o');

/**
 * Reads the first entries of each slot, and one of those that have a slot of another count, in one statement: in one
 * snapshot. Each part follows the index, from its first entry on, and stops at the limit.
 *
 * To look at the retries costs as much as the rest, and a destination has none as a rule: the statement only tells whether
 * it has, and is done again with them then.
 */
export async function fetchEntries(
  connection: OutboxConnection,
  selection: EntrySelection,
): Promise<FetchedEntries> {
  const rows = await readRows(connection, partsWithoutRetries(connection, selection));
  const hasRetries = rows.some(({ has_retries }) => Number(has_retries) > 0);
  if (!hasRetries || hasMisplaced(rows, selection)) return toFetched(rows, selection);
  const { prefix, parts } = partsWithRetries(connection, selection, COLUMNS);
  const select = sql`select ${COLUMNS}, 0 as attempts, ${NO_RETRIES}`;
  const index = new OutboxIndex(connection.dialect);
  const misplaced = index.firstOfEach(select, selection.destination, firstMisplaced(selection));
  return toFetched(await readRows(connection, { prefix, parts: [...misplaced, ...parts] }), selection);
}

async function readRows(connection: OutboxConnection, { prefix, parts }: EntryParts): Promise<FetchedRow[]> {
  const query = sql<FetchedRow>`${prefix} ${sql.join(parts, sql` union all `)}`;
  const { rows } = await query.execute(await connection.client());
  return rows;
}

function hasMisplaced(rows: readonly FetchedRow[], { slotCount }: EntrySelection): boolean {
  const { first, last } = slotsOf(slotCount);
  return rows.some(({ slot }) => slot < first || slot > last);
}

function toFetched(rows: readonly FetchedRow[], selection: EntrySelection): FetchedEntries {
  if (hasMisplaced(rows, selection)) return { entries: [], hasMisplaced: true };
  const entries = rows.map(toEntry).sort(byPosition);
  return { entries: firstOfEach(entries, selection.limitPerSlot), hasMisplaced: false };
}

/** The entry with this message id, and all before it of its key; their retries don't matter. */
export async function fetchEntriesUpTo(
  connection: OutboxConnection,
  { messageId, destination, limit }: { messageId: string; destination: string; limit: number },
): Promise<StoredEntry[]> {
  const query = sql<EntryRow>`
    select ${COLUMNS}, r.attempts
    from cqrs_outbox o
    join cqrs_outbox wanted
      on wanted.message_id = ${messageId} and wanted.destination = ${destination}
      and o.destination = wanted.destination and o.message_key = wanted.message_key and o.id <= wanted.id
    left join cqrs_outbox_retry r on r.destination = o.destination and r.entry_id = o.id
      and r.message_key = o.message_key
    where not exists (
      select 1 from cqrs_outbox_retry parking
      join cqrs_outbox_dead_letter letter on letter.position = parking.entry_id
      where parking.destination = wanted.destination and parking.message_key = wanted.message_key
        and parking.retry_at is null)
    order by o.id
    limit ${sql.lit(limit)}`;
  const { rows } = await query.execute(await connection.client());
  return rows.map(toEntry);
}

function partsWithoutRetries({ dialect }: OutboxConnection, selection: EntrySelection): EntryParts {
  const { destination, slots, limitPerSlot } = selection;
  const hasRetries = sql`case when exists (
    select 1 from cqrs_outbox_retry r where r.destination = ${destination}) then 1 else 0 end as has_retries`;
  const select = sql`select ${COLUMNS}, 0 as attempts, ${hasRetries}`;
  const ranges = slots.map((slot) => ({ from: slot, to: slot, limit: limitPerSlot }));
  return {
    prefix: sql``,
    parts: new OutboxIndex(dialect).firstOfEach(select, destination, [
      ...firstMisplaced(selection),
      ...ranges,
    ]),
  };
}

/** To see whether there are any. */
function firstMisplaced({ slotCount }: EntrySelection): LimitedRange[] {
  return misplacedSlots(slotCount).map((range) => ({ ...range, limit: 1 }));
}

/** Decimal numbers without leading zeros: the longer one is greater. */
function byPosition({ position: one }: StoredEntry, { position: other }: StoredEntry): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : one > other ? 1 : 0;
}

/** PostgreSQL's parts give retries that are due beside those of each slot. */
function firstOfEach(entries: readonly StoredEntry[], limitPerSlot: number): StoredEntry[] {
  const counts = new Map<number, number>();
  return entries.filter(({ slot }) => {
    const count = (counts.get(slot) ?? 0) + 1;
    counts.set(slot, count);
    return count <= limitPerSlot;
  });
}
