import { CqrsOutboxError } from '@cqrs-outbox/core';
import { InvalidFieldNameException, TableNotFoundException } from '@mikro-orm/core';
import { sql, type RawBuilder } from 'kysely';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { seedKeyLocks } from './outbox-schema.js';
import { outboxTables } from './outbox-tables.js';
import { KEY_LOCK_BUCKETS, SCHEMA_VERSION } from './schema-version.js';
import type { OutboxKysely } from './tables.js';

/** What a version did not have, in tables that it had. */
const NEW_COLUMNS = [
  [1, 'cqrs_outbox', 'slot'],
  [1, 'cqrs_outbox_retry', 'history'],
  [1, 'cqrs_outbox_dead_letter', 'position'],
  [2, 'cqrs_inbox_dead_letter', 'topic'],
] as const;

/**
 * Resolves when all tables are there in the version of this package. Tables that were made from the entities, by
 * MikroORM's schema generator, have no rows: those that belong to the schema are filled in.
 *
 * @throws CqrsOutboxError with code `SCHEMA_MISSING` or `SCHEMA_VERSION`
 */
export async function checkOutboxSchema(connection: OutboxConnection): Promise<void> {
  const client = await connection.client();
  const version = await readSchemaVersion(connection);
  if (version === 'no tables') throw schemaMissing(connection.dialect);
  if (version !== undefined && version !== SCHEMA_VERSION) throw otherVersion(version, connection.dialect);
  await findTables(connection, client);
  if (version === undefined)
    await client.insertInto('cqrs_outbox_schema').values({ version: SCHEMA_VERSION }).execute();
  await fillKeyLocks(connection, client);
}

/** The version that the tables tell; undefined when there is a table for it, but no row. */
export async function readSchemaVersion(
  connection: OutboxConnection,
): Promise<number | 'no tables' | undefined> {
  const client = await connection.client();
  try {
    return (await client.selectFrom('cqrs_outbox_schema').select('version').executeTakeFirst())?.version;
  } catch (error) {
    const exception = connection.convert(error);
    if (exception instanceof TableNotFoundException) return 'no tables';
    throw exception;
  }
}

/** The tables are of a version that this package can't work with. */
export function otherVersion(version: number, dialect: string): CqrsOutboxError {
  const what = `The outbox tables have version ${version}, this package needs ${SCHEMA_VERSION}.`;
  const next =
    version > SCHEMA_VERSION
      ? 'Install the version of @cqrs-outbox/mikro-orm that belongs to the tables.'
      : `Upgrade them: npx cqrs-outbox-schema ${dialect} --from ${version} prints the SQL for a migration; ` +
        `await migrateOutboxSchema(orm) runs it.`;
  return new CqrsOutboxError('SCHEMA_VERSION', `${what} ${next}`);
}

async function findTables(connection: OutboxConnection, client: OutboxKysely): Promise<void> {
  for (const { name } of outboxTables(connection.dialect))
    if (!(await canSelect(connection, client, { table: name, column: sql`1` })))
      throw schemaMissing(connection.dialect);
  for (const [version, table, column] of NEW_COLUMNS)
    if (!(await canSelect(connection, client, { table, column: sql.ref(column) })))
      throw otherVersion(version, connection.dialect);
}

/** False when there is no such table or column. */
async function canSelect(
  connection: OutboxConnection,
  client: OutboxKysely,
  { table, column }: { readonly table: string; readonly column: RawBuilder<unknown> },
): Promise<boolean> {
  try {
    await sql`select ${column} from ${sql.table(table)} where 1 = 0`.execute(client);
    return true;
  } catch (error) {
    const exception = connection.convert(error);
    if (exception instanceof TableNotFoundException || exception instanceof InvalidFieldNameException)
      return false;
    throw exception;
  }
}

async function fillKeyLocks(connection: OutboxConnection, client: OutboxKysely): Promise<void> {
  const { total } = await client
    .selectFrom('cqrs_outbox_key_lock')
    .select((builder) => builder.fn.countAll().as('total'))
    .executeTakeFirstOrThrow();
  if (Number(total) < KEY_LOCK_BUCKETS) await connection.run(seedKeyLocks(connection.dialect));
}

function schemaMissing(dialect: string): CqrsOutboxError {
  return new CqrsOutboxError(
    'SCHEMA_MISSING',
    `The outbox tables are missing. npx cqrs-outbox-schema ${dialect} prints the SQL that creates them, for a migration; ` +
      `await createOutboxSchema(orm) runs it.`,
  );
}
