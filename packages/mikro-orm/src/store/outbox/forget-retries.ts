import type { StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';

/**
 * Deletes what was remembered of the refusals of entries that are gone. It needs no lease: it deletes only rows that
 * hold no key back, whoever made the entries go.
 */
export async function forgetRetries(client: OutboxKysely, entries: readonly StoredEntry[]): Promise<void> {
  for (const { destination, key, position } of entries) {
    const id = BigInt(position);
    const parked = sql`retry_at is null and exists (select 1 from cqrs_outbox_dead_letter where position = ${id})`;
    await sql`
      delete from cqrs_outbox_retry
      where destination = ${destination} and message_key = ${key} and entry_id = ${id}
        and not exists (select 1 from cqrs_outbox where id = ${id}) and not (${parked})`.execute(client);
  }
}
