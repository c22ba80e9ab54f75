import { randomUUID } from 'node:crypto';
import { createOutboxSchema } from '@cqrs-outbox/mikro-orm';
import type { MikroOrmModuleSyncOptions } from '@mikro-orm/nestjs';
import type { MikroORM } from '@mikro-orm/sql';
import { LibSqlDriver, MikroORM as LibSqlOrm } from '@mikro-orm/libsql';
import { MariaDbDriver, MikroORM as MariaDbOrm } from '@mikro-orm/mariadb';
import { MikroORM as PostgreSqlOrm, PostgreSqlDriver } from '@mikro-orm/postgresql';
import { serviceUrl } from '../services/describe-with.ts';
import type { ServiceName } from '../services/service.ts';

/** What is given to MikroORM, beside entities. */
export type DatabaseOptions = Pick<MikroOrmModuleSyncOptions, 'driver' | 'dbName' | 'clientUrl'>;

export type DatabaseName = 'libsql' | 'mariadb' | 'postgres';

/** Every database that suites run on, with the servers that each needs. */
export const DATABASES: readonly { name: DatabaseName; needs: ServiceName[] }[] = [
  { name: 'libsql', needs: [] },
  { name: 'mariadb', needs: ['mariadb'] },
  { name: 'postgres', needs: ['postgres'] },
];

/** How a connection ends itself, as if the server had. */
export const END_OWN_CONNECTION = {
  mariadb: 'kill connection_id()',
  postgres: 'select pg_terminate_backend(pg_backend_pid())',
} as const;

/** DatabaseOptions for a new database of its own name: in memory, or on the server. */
export function databaseOptions(name: DatabaseName): DatabaseOptions {
  const dbName = `cqrs_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  switch (name) {
    case 'libsql':
      return { driver: LibSqlDriver, dbName: ':memory:' };
    case 'mariadb':
      return { driver: MariaDbDriver, clientUrl: serviceUrl('mariadb'), dbName };
    case 'postgres':
      return { driver: PostgreSqlDriver, clientUrl: serviceUrl('postgres'), dbName };
  }
}

/** Creates the database of these options with the outbox's tables and those of the entities. */
export async function createDatabase(orm: MikroORM): Promise<void> {
  await orm.schema.ensureDatabase();
  await createOutboxSchema(orm);
  await orm.schema.update({ safe: true });
}

/** Drops a database that {@link databaseOptions} named, in a connection of its own. */
export async function dropDatabase(options: DatabaseOptions): Promise<void> {
  if (options.driver === LibSqlDriver) return;
  const Orm = { [MariaDbDriver.name]: MariaDbOrm, [PostgreSqlDriver.name]: PostgreSqlOrm }[
    options.driver!.name
  ];
  const orm = await (Orm ?? LibSqlOrm).init({
    ...options,
    entities: [],
    discovery: { warnWhenNoEntities: false },
  } as never);
  await orm.schema.dropDatabase(options.dbName);
  await orm.close();
}
