import type { Failure, Lease, StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS, type OutboxKysely } from '../../schema/tables.js';
import { leaseFence } from '../lease-fence.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { byPrimaryKey, columnList, overwriting, writtenRows } from '../statements.js';
import { forgetRetries } from './forget-retries.js';
import { recordFailure } from './record-failure.js';

/** What the dead letter takes from the row of the retry, where the refusal was written down first. */
const FAILURE_COLUMNS = ['position', 'attempts', 'last_error', 'stack', 'history', 'failed_at'] as const;

/**
 * Moves an entry to the dead letters, in steps that can each be repeated:
 *
 *   1. the refusal is recorded as for a retry; when the key is to be parked, without a time
 *   2. the dead letter is written
 *   3. the entry is deleted, if its dead letter is still there: from here on that holds the key back, or nothing does
 *   4. the row of the retry is deleted, unless it parks the key
 *
 * A crash before 3 leaves an entry to be retried, whose dead letter does not count; see `removeEntries`.
 */
export async function buryEntry(
  connection: OutboxConnection,
  { entry, failure, lease }: { entry: StoredEntry; failure: Failure; lease: Lease },
): Promise<boolean> {
  const delayMs = entry.deadLetterPolicy === 'park' ? undefined : 0;
  const isOurs = await connection.withLockRetries((client) =>
    recordFailure(client, connection, { entry, failure, lease, delayMs }),
  );
  if (!isOurs) return false;
  const step = { entry, lease };
  await connection.withLockRetries((client) => writeDeadLetter(client, connection, step));
  const deleted = await connection.withLockRetries((client) => deleteEntry(client, connection, step));
  await connection.withLockRetries((client) => forgetRetries(client, [entry]));
  return deleted > 0;
}

interface Step {
  readonly entry: StoredEntry;
  readonly lease: Lease;
}

async function writeDeadLetter(
  client: OutboxKysely,
  { dialect, now }: OutboxConnection,
  { entry, lease }: Step,
): Promise<void> {
  const leased = leaseFence(dialect, [lease]);
  await sql`
    insert into cqrs_outbox_dead_letter (${columnList([...ENTRY_COLUMNS, ...FAILURE_COLUMNS])})
    select ${columnList(ENTRY_COLUMNS, 'o')}, o.id, r.attempts, r.last_error, r.last_stack, r.history, ${now}
    from ${leased.table}
    join cqrs_outbox o on ${leased.covers(sql`o.slot`)}
    join cqrs_outbox_retry r
      on r.destination = o.destination and r.message_key = o.message_key and r.entry_id = o.id
    where o.id = ${BigInt(entry.position)}
    ${overwriting(dialect, ['message_id', 'destination'], [...ENTRY_COLUMNS, ...FAILURE_COLUMNS])}`.execute(
    client,
  );
}

/** Locks the dead letter too: when a person requeues or discards it at this moment, the entry stays. */
async function deleteEntry(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  { entry, lease }: Step,
): Promise<number> {
  const leased = leaseFence(dialect, [lease]);
  const id = BigInt(entry.position);
  const letters = sql`select position from cqrs_outbox_dead_letter where position = ${id}`;
  switch (dialect) {
    case 'mysql':
      return writtenRows(
        await sql`
          delete o
          from (${letters} limit 1 lock in share mode) letter
          straight_join cqrs_outbox o ${byPrimaryKey(dialect)} on o.id = letter.position
          straight_join ${leased.table} on ${leased.covers(sql`o.slot`)}`.execute(client),
      );
    case 'postgresql':
      return writtenRows(
        await sql`
          delete from cqrs_outbox o
          using (${letters} for share) letter, ${leased.table}
          where o.id = ${id} and o.id = letter.position and ${leased.covers(sql`o.slot`)}`.execute(client),
      );
    case 'sqlite':
      return writtenRows(
        await sql`
          delete from cqrs_outbox
          where id in (${letters}) and exists (
            select 1 from ${leased.table} where ${leased.covers(sql`cqrs_outbox.slot`)})`.execute(client),
      );
  }
}
