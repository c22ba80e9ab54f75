import { MariaDbDriver } from '@mikro-orm/mariadb';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { MariaDbOutbox } from './mariadb.ts';
import type { DatabaseAddress, DatabaseName, OutboxDatabase } from './outbox-database.ts';
import { PostgresOutbox } from './postgres.ts';

export function createOutboxDatabase({ name, url }: DatabaseAddress): Promise<OutboxDatabase> {
  return name === 'mariadb' ? MariaDbOutbox.create(url) : PostgresOutbox.create(url);
}

/** MikroORM's driver for a database. */
export function driverOf(name: DatabaseName): typeof MariaDbDriver | typeof PostgreSqlDriver {
  return name === 'mariadb' ? MariaDbDriver : PostgreSqlDriver;
}
