import { sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';
import { ENTRY_COLUMNS, type OutboxKysely } from '../../schema/tables.js';
import { byPrimaryKey, columnList, ignoringConflicts, joinInOrder, listedIds } from '../statements.js';
import { deleteListed } from '../delete-listed.js';

/**
 * Puts dead letters back where they were, inside a transaction: they are locked first, and chosen anew among those that
 * another has left. One whose id is taken, or that has none, goes to the end.
 *
 * @returns how many
 */
export async function requeueLetters(
  client: OutboxKysely,
  dialect: SqlDialect,
  ids: readonly string[],
): Promise<number> {
  const lockedIds = await lockLetters(client, dialect, ids);
  const locked = listedIds(dialect, lockedIds);
  const letters = sql`${locked} listed ${joinInOrder(dialect)} cqrs_outbox_dead_letter d ${byPrimaryKey(dialect)} on d.id = listed.id`;
  const ignoring = ignoringConflicts(dialect, 'cqrs_outbox', 'id');
  await sql`
    insert into cqrs_outbox (id, ${columnList(ENTRY_COLUMNS)})
    select d.position, ${columnList(ENTRY_COLUMNS, 'd')} from ${letters}
    where d.position is not null order by d.position ${ignoring}`.execute(client);
  await sql`
    insert into cqrs_outbox (${columnList(ENTRY_COLUMNS)})
    select ${columnList(ENTRY_COLUMNS, 'd')} from ${letters}
    where not exists (
      select 1 from cqrs_outbox o where o.message_id = d.message_id and o.destination = d.destination)
    order by d.id ${ignoring}`.execute(client);
  await freeKeys(client, letters);
  return deleteListed(client, dialect, { table: 'cqrs_outbox_dead_letter', column: 'id', ids: lockedIds });
}

/** Deletes dead letters for good, inside a transaction. @returns how many */
export async function discardLetters(
  client: OutboxKysely,
  dialect: SqlDialect,
  ids: readonly string[],
): Promise<number> {
  const lockedIds = await lockLetters(client, dialect, ids);
  const locked = listedIds(dialect, lockedIds);
  await freeKeys(
    client,
    sql`${locked} listed ${joinInOrder(dialect)} cqrs_outbox_dead_letter d ${byPrimaryKey(dialect)} on d.id = listed.id`,
  );
  return deleteListed(client, dialect, { table: 'cqrs_outbox_dead_letter', column: 'id', ids: lockedIds });
}

/** Waits for others that have them locked. @returns the ids of those that are still there */
async function lockLetters(
  client: OutboxKysely,
  dialect: SqlDialect,
  ids: readonly string[],
): Promise<string[]> {
  const lock = dialect === 'sqlite' ? sql`` : sql`for update`;
  const { rows } = await sql<{ id: number | string }>`
    select id from cqrs_outbox_dead_letter
    where id in (${sql.join(ids.map(BigInt))}) order by id ${lock}`.execute(client);
  return rows.map(({ id }) => String(id));
}

/** The rows of retries that name a dead letter: after this, none of its key waits for it. */
async function freeKeys(client: OutboxKysely, letters: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql<{ destination: string; message_key: string; position: number | string }>`
    select d.destination, d.message_key, d.position from ${letters} where d.position is not null`.execute(
    client,
  );
  for (const { destination, message_key, position } of rows)
    await client
      .deleteFrom('cqrs_outbox_retry')
      .where('destination', '=', destination)
      .where('message_key', '=', message_key)
      .where('entry_id', '=', BigInt(position))
      .execute();
}
