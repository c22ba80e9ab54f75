import type { Lease, PromotedEntries } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS, type OutboxKysely } from '../../schema/tables.js';
import { leaseFence } from '../lease-fence.js';
import type { OutboxConnection } from '../outbox-connection.js';
import {
  byPrimaryKey,
  columnList,
  ignoringConflicts,
  isListed,
  joinInOrder,
  listedIds,
  writtenRows,
} from '../statements.js';

const MOVED_COLUMNS = [...ENTRY_COLUMNS, 'slot'] as const;

/**
 * Moves delayed entries that are due to the end of the outbox. A crash between copy and deletion makes the next relay
 * copy them again: nothing comes of it while they are in the outbox, and duplicates when they were published already.
 */
export async function promoteEntries(
  connection: OutboxConnection,
  lease: Lease,
  limit: number,
): Promise<PromotedEntries> {
  // Each tick asks: most of the time nothing is due, and that takes one statement.
  const nextInMs = await readNext(connection);
  if (nextInMs === undefined || nextInMs > 0) return { promoted: 0, nextInMs };
  const due = await connection.withLockRetries((client) => readDue(client, connection, limit));
  let promoted = 0;
  if (due.length > 0) {
    await connection.withLockRetries((client) => copyDue(client, connection, due, lease));
    promoted = await connection.withLockRetries((client) => deleteDue(client, connection, due, lease));
  }
  return { promoted, nextInMs: await readNext(connection) };
}

async function readDue(client: OutboxKysely, { now }: OutboxConnection, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: number | string | bigint }>`
    select id from cqrs_outbox_delayed where available_at <= ${now}
    order by available_at, id limit ${sql.lit(limit)}`.execute(client);
  return rows.map(({ id }) => String(id));
}

async function copyDue(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  due: readonly string[],
  lease: Lease,
): Promise<void> {
  const leased = leaseFence(dialect, [lease]);
  await sql`
    insert into cqrs_outbox (${columnList(MOVED_COLUMNS)})
    select ${columnList(MOVED_COLUMNS, 'd')}
    from ${listedIds(dialect, due)} listed
    ${joinInOrder(dialect)} cqrs_outbox_delayed d ${byPrimaryKey(dialect)} on d.id = listed.id
    ${joinInOrder(dialect)} ${leased.table} on ${leased.covers(sql`${sql.lit(lease.slot)}`)}
    where ${isListed(dialect, sql`d.id`, due)}
    order by d.available_at, d.id
    ${ignoringConflicts(dialect, 'cqrs_outbox', 'id')}`.execute(client);
}

async function deleteDue(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  due: readonly string[],
  lease: Lease,
): Promise<number> {
  const leased = leaseFence(dialect, [lease]);
  const ids = listedIds(dialect, due);
  const isLeased = leased.covers(sql`${sql.lit(lease.slot)}`);
  switch (dialect) {
    case 'mysql':
      return writtenRows(
        await sql`
          delete d
          from ${leased.table}
          straight_join ${ids} listed
          straight_join cqrs_outbox_delayed d ${byPrimaryKey(dialect)} on d.id = listed.id
          where ${isLeased}`.execute(client),
      );
    case 'postgresql':
      return writtenRows(
        await sql`
          delete from cqrs_outbox_delayed d using ${leased.table}
          where ${isListed(dialect, sql`d.id`, due)} and ${isLeased}`.execute(client),
      );
    case 'sqlite':
      return writtenRows(
        await sql`
          delete from cqrs_outbox_delayed
          where id in (select id from ${ids} listed) and exists (select 1 from ${leased.table} where ${isLeased})`.execute(
          client,
        ),
      );
  }
}

async function readNext(connection: OutboxConnection): Promise<number | undefined> {
  const { rows } = await sql<{ next_in: number | string | null }>`
    select min(available_at) - ${connection.now} as next_in from cqrs_outbox_delayed`.execute(
    await connection.client(),
  );
  const nextIn = rows[0]?.next_in ?? null;
  return nextIn === null ? undefined : Math.max(0, Number(nextIn));
}
