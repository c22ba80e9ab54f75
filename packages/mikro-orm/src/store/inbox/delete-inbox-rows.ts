import { sql } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';
import type { OutboxKysely } from '../../schema/tables.js';
import { writtenRows } from '../statements.js';

/** Deletes rows by their primary keys. @returns how many */
export async function deleteInboxRows(
  client: OutboxKysely,
  dialect: SqlDialect,
  keys: readonly { message_id: string; handler: string }[],
): Promise<number> {
  const pairs = sql.join(keys.map(({ message_id, handler }) => sql`(${message_id}, ${handler})`));
  // By a full scan it would wait for the handlers that are recording messages now.
  const statement =
    dialect === 'mysql'
      ? sql`delete i from cqrs_inbox i force index (primary) where (i.message_id, i.handler) in (${pairs})`
      : sql`delete from cqrs_inbox where (message_id, handler) in (values ${pairs})`;
  return writtenRows(await statement.execute(client));
}
