import type { OutboxDatabase, DatabaseName } from './outbox-database.ts';

type Driver = NonNullable<OutboxDatabase['ormOptions']['driver']>;

/** MikroORM's driver for a database; the others are not loaded, since their memory counts. */
export async function driverOf(name: DatabaseName): Promise<Driver> {
  switch (name) {
    case 'mariadb':
      return (await import('@mikro-orm/mariadb')).MariaDbDriver;
    case 'postgres':
      return (await import('@mikro-orm/postgresql')).PostgreSqlDriver;
    case 'libsql':
      return (await import('@mikro-orm/libsql')).LibSqlDriver;
  }
}
