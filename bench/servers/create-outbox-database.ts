import { MariaDbDriver } from '@mikro-orm/mariadb';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { MariaDbOutbox } from './mariadb.ts';
import type { DatabaseAddress, DatabaseName, OutboxDatabase } from './outbox-database.ts';
import { PostgresOutbox } from './postgres.ts';

export function createOutboxDatabase({ name, url }: DatabaseAddress): Promise<OutboxDatabase> {
  switch (name) {
    case 'mariadb':
      return MariaDbOutbox.create(url);
    case 'postgres':
      return PostgresOutbox.create(url);
    case 'libsql':
      throw new Error('libSQL has no relay benchmark');
  }
}

/** MikroORM's driver for a database. */
export function driverOf(name: DatabaseName): typeof MariaDbDriver | typeof PostgreSqlDriver {
  return name === 'mariadb' ? MariaDbDriver : PostgreSqlDriver;
}
