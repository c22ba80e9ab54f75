import type { EntityManager } from '@mikro-orm/core';
import { CompiledQuery, sql } from 'kysely';
import { OutboxConnection } from '../store/outbox-connection.js';
import { otherVersion, readSchemaVersion } from './check-outbox-schema.js';
import { outboxSchema } from './outbox-schema.js';
import { withSchemaLock } from './schema-lock.js';
import { SCHEMA_VERSION } from './schema-version.js';
import type { SqlDialect } from './sql-dialect.js';
import type { OutboxKysely } from './tables.js';
import { upgradeSteps } from './upgrade-outbox-schema.js';
import type { UpgradeStep } from './upgrade-step.js';

/**
 * Creates the tables of outbox and inbox, or upgrades those of an older version, rows and all; does nothing when they
 * are current. Several processes may call it at the same time, and it may be called again after a crash in the middle.
 * Stop the relays of the older version before; its writers may go on.
 *
 * @throws CqrsOutboxError with code `SCHEMA_VERSION` when the tables are newer than this package
 */
export async function migrateOutboxSchema(orm: { readonly em: EntityManager }): Promise<void> {
  const connection = new OutboxConnection(orm.em);
  const { dialect } = connection;
  if ((await readSchemaVersion(connection)) === 'no tables') await create(connection);
  await connection.withLockRetries((client) =>
    withSchemaLock(client, dialect, async (locked) => {
      const row = await locked.selectFrom('cqrs_outbox_schema').select('version').executeTakeFirst();
      // Tables that were made from entities have no row before the first boot: each step finds out whether it is needed.
      const version = row?.version ?? 1;
      if (version > SCHEMA_VERSION) throw otherVersion(version, dialect);
      for (const step of upgradeSteps(dialect, version))
        if (!(await isDone(locked, dialect, step))) await locked.executeQuery(CompiledQuery.raw(step.sql));
    }),
  );
}

/** Two at the same time may collide, even with `if not exists`: the second time, all is there. */
async function create(connection: OutboxConnection): Promise<void> {
  await connection.withLockRetries((client) =>
    withSchemaLock(client, connection.dialect, async (locked) => {
      for (const statement of outboxSchema(connection.dialect))
        await locked.executeQuery(CompiledQuery.raw(statement));
    }),
  );
}

/** MySQL has neither `add column if not exists` nor transactions of such statements. */
async function isDone(client: OutboxKysely, dialect: SqlDialect, { adds }: UpgradeStep): Promise<boolean> {
  if (!adds) return false;
  const { rows } = await catalogQuery(dialect, adds).execute(client);
  return rows.length > 0;
}

function catalogQuery(dialect: SqlDialect, adds: NonNullable<UpgradeStep['adds']>) {
  const { table } = adds;
  if ('index' in adds)
    return sql`select 1 from information_schema.statistics
      where table_schema = database() and table_name = ${table} and index_name = ${adds.index} limit 1`;
  switch (dialect) {
    case 'mysql':
      return sql`select 1 from information_schema.columns
        where table_schema = database() and table_name = ${table} and column_name = ${adds.column}`;
    case 'postgresql':
      return sql`select 1 from pg_attribute
        where attrelid = to_regclass(${table}) and attname = ${adds.column} and not attisdropped`;
    case 'sqlite':
      return sql`select 1 from pragma_table_info(${table}) where name = ${adds.column}`;
  }
}
