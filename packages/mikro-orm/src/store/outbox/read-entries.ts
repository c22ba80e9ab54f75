import { slotsOf, type EntrySelection, type FetchedEntries, type StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS, type OutboxKysely } from '../../schema/tables.js';
import { toEntry, type FetchedRow } from '../entry-rows.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { columnList } from '../statements.js';
import { OutboxIndex } from './outbox-index.js';
import { partsWithRetries, type EntryParts } from './retry-parts.js';

const COLUMNS = columnList(['id', 'slot', ...ENTRY_COLUMNS], 'o');
const WITHOUT_ATTEMPTS = sql`select ${COLUMNS}, 0 as attempts`;

/**
 * Reads the first entries of each slot, and one of those that have a slot of another count, in one statement: in one
 * snapshot. Each part follows the index, from its first entry on, and stops at the limit.
 *
 * To look at the retries costs as much as the rest. It is left out when the destination has none. To ask for that in a
 * statement before is safe: only the relay itself refuses entries of its slots, and what its predecessor has refused
 * was there before it got the lease.
 */
export async function fetchEntries(
  connection: OutboxConnection,
  selection: EntrySelection,
): Promise<FetchedEntries> {
  const { destination, slotCount, limitPerSlot } = selection;
  const client = await connection.client();
  const index = new OutboxIndex(connection.dialect);
  const { first, last } = slotsOf(slotCount);
  const { prefix, parts } = (await hasRetries(client, destination))
    ? partsWithRetries(connection, selection, COLUMNS)
    : partsWithoutRetries(index, selection);
  const misplaced = [index.before(destination, first), index.after(destination, last)].map((where) =>
    index.part(WITHOUT_ATTEMPTS, sql``, where, 1),
  );
  const query = sql<FetchedRow>`${prefix} ${sql.join([...misplaced, ...parts], sql` union all `)}`;
  const { rows } = await query.execute(client);
  const hasMisplaced = rows.some(({ slot }) => slot < first || slot > last);
  if (hasMisplaced) return { entries: [], hasMisplaced };
  return { entries: firstOfEach(rows.map(toEntry).sort(byPosition), limitPerSlot), hasMisplaced };
}

/** The entry with this message id, and all before it of its key; their retries don't matter. */
export async function fetchEntriesUpTo(
  connection: OutboxConnection,
  { messageId, destination, limit }: { messageId: string; destination: string; limit: number },
): Promise<StoredEntry[]> {
  const query = sql<FetchedRow>`
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

function partsWithoutRetries(
  index: OutboxIndex,
  { destination, slots, limitPerSlot }: EntrySelection,
): EntryParts {
  return { prefix: sql``, parts: index.firstOfEach(WITHOUT_ATTEMPTS, destination, slots, limitPerSlot) };
}

async function hasRetries(client: OutboxKysely, destination: string): Promise<boolean> {
  const retries = await client
    .selectFrom('cqrs_outbox_retry')
    .select('entry_id')
    .where('destination', '=', destination)
    .limit(1)
    .execute();
  return retries.length > 0;
}

function byPosition(one: StoredEntry, other: StoredEntry): number {
  const [a, b] = [BigInt(one.position), BigInt(other.position)];
  return a < b ? -1 : a > b ? 1 : 0;
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
