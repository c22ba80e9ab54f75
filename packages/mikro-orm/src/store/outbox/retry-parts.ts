import type { EntrySelection } from '@cqrs-outbox/core';
import { sql, type RawBuilder } from 'kysely';
import type { OutboxConnection } from '../outbox-connection.js';
import { isBlocking } from './blocking-retries.js';
import { OutboxIndex } from './outbox-index.js';

type Sql = RawBuilder<unknown>;

/** The column of a part that has looked at the retries itself. */
export const NO_RETRIES: Sql = sql`0 as has_retries`;

/** What makes up the query of entries. */
export interface EntryParts {
  /** Stands before the whole query. */
  readonly prefix: Sql;
  /** To be united. */
  readonly parts: readonly Sql[];
}

/**
 * The parts of the query of entries that respect retries: of a key that is held back only the refused entry may come,
 * and not before its time; and what stands before it, which was a dead letter and is back. Each database gets the form
 * that it can't but run entry by entry, in the order of the index.
 *
 * @param columns those of `o`
 */
export function partsWithRetries(
  connection: OutboxConnection,
  selection: EntrySelection,
  columns: Sql,
): EntryParts {
  return connection.dialect === 'postgresql'
    ? partsBesideRetries(connection, selection, columns)
    : partsJoinedToRetries(connection, selection, columns);
}

function partsJoinedToRetries(
  { now, dialect }: OutboxConnection,
  { destination, slots, limitPerSlot }: EntrySelection,
  columns: Sql,
): EntryParts {
  const index = new OutboxIndex(dialect);
  const join = sql`
    left join cqrs_outbox_retry r
      on r.destination = o.destination and r.message_key = o.message_key and ${isBlocking}`;
  const isEarlier = sql`(r.retry_at is not null and o.id < r.entry_id)`;
  const isFree = sql`(r.entry_id is null or ${isEarlier} or (r.entry_id = o.id and ${isDue(now)}))`;
  // The attempts of the row are those of the entry that it names.
  const attempts = sql`case when r.entry_id = o.id then r.attempts else 0 end as attempts`;
  const parts = slots.map((slot) =>
    index.part(
      sql`select ${columns}, ${attempts}, ${NO_RETRIES}`,
      join,
      sql`${index.at(destination, { from: slot, to: slot })} and ${isFree}`,
      limitPerSlot,
    ),
  );
  return { prefix: sql``, parts };
}

/** PostgreSQL takes the join above for so selective that it reads and sorts the whole slot. */
function partsBesideRetries(
  { now, dialect }: OutboxConnection,
  { destination, slots, limitPerSlot }: EntrySelection,
  columns: Sql,
): EntryParts {
  const index = new OutboxIndex(dialect);
  const prefix = sql`with r as materialized (
    select message_key, entry_id, attempts, retry_at from cqrs_outbox_retry r
    where r.destination = ${destination} and ${isBlocking})`;
  const due = sql`(
    select ${columns}, r.attempts, ${NO_RETRIES}
    from r join cqrs_outbox o on o.id = r.entry_id
    where ${isDue(now)} and o.slot in (${sql.join(slots.map((slot) => sql.lit(slot)))})
    order by o.id
    limit ${sql.lit(limitPerSlot * slots.length)})`;
  // One object for the whole query: a subquery for each entry would read through the retries each time.
  const retried = sql`(select jsonb_object_agg(r.message_key, r.entry_id) from r where r.retry_at is not null)`;
  const isFree = sql`(
    o.message_key not in (select message_key from r)
    or o.id < cast(${retried} ->> o.message_key as bigint))`;
  const free = slots.map((slot) =>
    index.part(
      sql`select ${columns}, 0 as attempts, ${NO_RETRIES}`,
      sql``,
      sql`${index.at(destination, { from: slot, to: slot })} and ${isFree}`,
      limitPerSlot,
    ),
  );
  return { prefix, parts: [due, ...free] };
}

/** Null while the entry is in the outbox: it was about to become a dead letter when its relay crashed. */
function isDue(now: RawBuilder<number | string>): Sql {
  return sql`coalesce(r.retry_at, 0) <= ${now}`;
}
