import { LibSqlOutbox } from './libsql.ts';
import { MariaDbOutbox } from './mariadb.ts';
import type { DatabaseAddress, OutboxDatabase, ServerDatabase } from './outbox-database.ts';
import { PostgresOutbox } from './postgres.ts';

export function createOutboxDatabase({ name, url }: DatabaseAddress): Promise<OutboxDatabase> {
  return name === 'libsql' ? LibSqlOutbox.create() : createServerDatabase({ name, url });
}

/** @throws Error for libSQL, which has no server */
export function createServerDatabase({ name, url }: DatabaseAddress): Promise<ServerDatabase> {
  switch (name) {
    case 'mariadb':
      return MariaDbOutbox.create(url);
    case 'postgres':
      return PostgresOutbox.create(url);
    case 'libsql':
      throw new Error('libSQL has no server');
  }
}
