import { sql, type RawBuilder } from 'kysely';

/**
 * Whether a row `r` of cqrs_outbox_retry holds its key back: as long as its entry is in the outbox, or is a dead letter
 * that parks the key. What is left over by a crash, or by an entry that was deleted by hand, holds nothing back.
 *
 * `exists` would say the same, but PostgreSQL may answer it out of a hash table of the whole outbox.
 */
export const isBlocking: RawBuilder<boolean> = sql`(
  r.entry_id = (select h.id from cqrs_outbox h where h.id = r.entry_id)
  or (r.retry_at is null
    and r.entry_id = (select max(d.position) from cqrs_outbox_dead_letter d where d.position = r.entry_id)))`;
