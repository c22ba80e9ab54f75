import type { Lease, StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import { leaseFence } from '../lease-fence.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { byPrimaryKey, idLiterals, isListed, listedIds, writtenRows } from '../statements.js';
import { forgetRetries } from './forget-retries.js';

/** As many as MariaDB takes for a list; of 1,000 on it makes a table to join, in an order of its own. */
const MAX_LISTED = 900;

/** Deletes published entries: as a rule with one statement, those that were refused before with two more. */
export async function removeEntries(
  connection: OutboxConnection,
  entries: readonly StoredEntry[],
  leases: readonly Lease[],
): Promise<number> {
  if (entries.length === 0 || leases.length === 0) return 0;
  const refused = entries.filter(({ attempts }) => attempts > 0);
  if (refused.length > 0)
    await connection.withLockRetries((client) => deleteLeftLetters(client, connection, refused, leases));
  let removed = 0;
  for (let start = 0; start < entries.length; start += MAX_LISTED) {
    const part = entries.slice(start, start + MAX_LISTED);
    removed += await connection.withLockRetries((client) => deleteEntries(client, connection, part, leases));
  }
  // After the entries: a retry without its entry blocks nothing, an entry without its retry would lose its count.
  if (refused.length > 0) await connection.withLockRetries((client) => forgetRetries(client, refused));
  return removed;
}

/** By the ids, and not joined to a table of them: PostgreSQL would rather read the whole outbox for a hash join. */
async function deleteEntries(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  entries: readonly StoredEntry[],
  leases: readonly Lease[],
): Promise<number> {
  const leased = leaseFence(dialect, leases);
  const ids = positionsOf(entries);
  switch (dialect) {
    case 'mysql':
      return writtenRows(
        await sql`
          delete o
          from cqrs_outbox o ${byPrimaryKey(dialect)}
          straight_join ${leased.table} on ${leased.covers(sql`o.slot`)}
          where o.id in (${idLiterals(ids)})`.execute(client),
      );
    case 'postgresql':
      return writtenRows(
        await sql`
          delete from cqrs_outbox o
          using ${leased.table}
          where ${isListed(dialect, sql`o.id`, ids)} and ${leased.covers(sql`o.slot`)}`.execute(client),
      );
    case 'sqlite':
      return writtenRows(
        await sql`
          delete from cqrs_outbox
          where id in (select id from ${listedIds(dialect, ids)} listed) and exists (
            select 1 from ${leased.table} where ${leased.covers(sql`cqrs_outbox.slot`)})`.execute(client),
      );
  }
}

/** A crash in the middle of burying leaves a dead letter beside its entry, which has now been published after all. */
async function deleteLeftLetters(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  entries: readonly StoredEntry[],
  leases: readonly Lease[],
): Promise<void> {
  const leased = leaseFence(dialect, leases);
  const ids = listedIds(dialect, positionsOf(entries));
  const isOurs = sql`exists (
    select 1 from cqrs_outbox o, ${leased.table} where o.id = l.position and ${leased.covers(sql`o.slot`)})`;
  switch (dialect) {
    case 'mysql':
      await sql`
        delete l from ${ids} listed straight_join cqrs_outbox_dead_letter l on l.position = listed.id
        where ${isOurs}`.execute(client);
      return;
    case 'postgresql':
      await sql`
        delete from cqrs_outbox_dead_letter l using ${ids} listed
        where l.position = listed.id and ${isOurs}`.execute(client);
      return;
    case 'sqlite':
      await sql`
        delete from cqrs_outbox_dead_letter as l
        where l.position in (select id from ${ids} listed) and ${isOurs}`.execute(client);
  }
}

function positionsOf(entries: readonly StoredEntry[]): string[] {
  return entries.map(({ position }) => position);
}
