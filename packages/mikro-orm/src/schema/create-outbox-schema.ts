import type { EntityManager } from '@mikro-orm/core';
import { OutboxConnection } from '../store/outbox-connection.js';
import { readSchemaVersion } from './check-outbox-schema.js';
import { outboxSchema } from './outbox-schema.js';
import { SCHEMA_VERSION } from './schema-version.js';

/**
 * Creates the tables of outbox and inbox that are missing, at once and outside of any migration: for tests, demos, and
 * applications that make their schema at start. Existing tables are left as they are, all of them when they are of
 * another version: {@link migrateOutboxSchema} upgrades them.
 */
export async function createOutboxSchema(orm: { readonly em: EntityManager }): Promise<void> {
  const connection = new OutboxConnection(orm.em);
  const version = await readSchemaVersion(connection);
  if (typeof version === 'number' && version !== SCHEMA_VERSION) return;
  for (const statement of outboxSchema(connection.dialect)) await connection.run(statement);
}
