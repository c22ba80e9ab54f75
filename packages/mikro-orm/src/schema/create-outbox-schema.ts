import type { EntityManager } from '@mikro-orm/core';
import { OutboxConnection } from '../store/outbox-connection.js';
import { outboxSchema } from './outbox-schema.js';

/**
 * Creates the tables of outbox and inbox that are missing, at once and outside of any migration: for tests, demos, and
 * applications that make their schema at start. Existing tables are left as they are.
 */
export async function createOutboxSchema(orm: { readonly em: EntityManager }): Promise<void> {
  const connection = new OutboxConnection(orm.em);
  for (const statement of outboxSchema(connection.dialect)) await connection.run(statement);
}
