import { sql } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxDatabase, OutboxKysely } from '../schema/tables.js';
import { byPrimaryKey, isListed, listedIds, writtenRows } from './statements.js';

/** Deletes rows by their primary keys, which locks no others: of a key that is gone, nothing. @returns how many */
export async function deleteListed(
  client: OutboxKysely,
  dialect: SqlDialect,
  { table, column, ids }: { table: keyof OutboxDatabase; column: string; ids: readonly string[] },
): Promise<number> {
  if (ids.length === 0) return 0;
  const listed = sql`${listedIds(dialect, ids)} listed`;
  const [target, key] = [sql.table(table), sql.ref(column)];
  const statements = {
    mysql: sql`delete t from ${listed} straight_join ${target} t ${byPrimaryKey(dialect)} on t.${key} = listed.id`,
    postgresql: sql`delete from ${target} where ${isListed(dialect, key, ids)}`,
    sqlite: sql`delete from ${target} where ${key} in (select id from ${listed})`,
  };
  return writtenRows(await statements[dialect].execute(client));
}
