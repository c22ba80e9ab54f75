import { OutboxStore } from '@cqrs-outbox/core';
import {
  createOutboxSchema,
  dropOutboxSchema,
  MikroOrmOutbox,
  outboxEntities,
  outboxSchema,
} from '@cqrs-outbox/mikro-orm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MikroORM as CoreMikroORM } from '@mikro-orm/core';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { MikroORM } from '@mikro-orm/sql';
import { Test, type TestingModule } from '@nestjs/testing';
import { describeWith } from '../services/describe-with.ts';
import {
  DATABASES,
  databaseOptions,
  dropDatabase,
  type DatabaseName,
  type DatabaseOptions,
} from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

const DIALECTS = { libsql: 'sqlite', mariadb: 'mysql', postgres: 'postgresql' } as const;

for (const { name, needs } of DATABASES)
  describeWith(needs, `outbox tables on ${name}`, () => schemaTests(name));

describe('outboxSchema', () => {
  it('differs by dialect alone: each has the same tables', () => {
    const tables = (dialect: (typeof DIALECTS)[DatabaseName]): string[] =>
      outboxSchema(dialect).flatMap((sql) => /create table if not exists (\w+)/.exec(sql)?.[1] ?? []);
    expect(tables('mysql')).toEqual(tables('sqlite'));
    expect(tables('postgresql')).toEqual(tables('sqlite'));
    expect(tables('sqlite')).toHaveLength(outboxEntities.length);
  });
});

function schemaTests(name: DatabaseName): void {
  let options: DatabaseOptions;
  let module: TestingModule;
  let orm: MikroORM;
  let store: OutboxStore;

  beforeEach(async () => {
    options = databaseOptions(name);
    module = await Test.createTestingModule({
      imports: [
        MikroOrmModule.forRoot({ ...options, entities: [...outboxEntities], logger: () => undefined }),
        MikroOrmOutbox,
      ],
    })
      .setLogger(silentLogger)
      .compile();
    orm = module.get<MikroORM>(CoreMikroORM);
    store = module.get(OutboxStore);
    await orm.schema.ensureDatabase();
  });

  afterEach(async () => {
    await module.close();
    await dropDatabase(options);
  });

  const run = async (...statements: string[]): Promise<void> => {
    for (const statement of statements) await orm.em.getConnection().execute(statement);
  };

  it("have nothing that MikroORM's schema comparator would change", async () => {
    await createOutboxSchema(orm);
    expect(await orm.schema.getUpdateSchemaSQL()).toBe('');
  });

  it('can be made by the statements of a migration', async () => {
    await run(...outboxSchema(DIALECTS[name]));
    await store.checkSchema();
    expect(await orm.schema.getUpdateSchemaSQL()).toBe('');
  });

  it('can be made from the entities; the check then adds their version', async () => {
    await orm.schema.create();
    await store.checkSchema();
    await store.checkSchema();
    expect(await orm.em.getConnection().execute('select version from cqrs_outbox_schema')).toHaveLength(1);
    expect(await orm.schema.getUpdateSchemaSQL()).toBe('');
  });

  it('are left alone by the statements when they were made from the entities', async () => {
    await orm.schema.create();
    await createOutboxSchema(orm);
    await createOutboxSchema(orm);
    await store.checkSchema();
    expect(await orm.schema.getUpdateSchemaSQL()).toBe('');
  });

  it('are reported when they are missing, with the way to make them', async () => {
    await expect(store.checkSchema()).rejects.toMatchObject({ code: 'SCHEMA_MISSING' });
    await expect(store.checkSchema()).rejects.toThrow('npx cqrs-outbox-schema');
  });

  it('are reported when they have another version', async () => {
    await createOutboxSchema(orm);
    await run('update cqrs_outbox_schema set version = 99');
    await expect(store.checkSchema()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
    await expect(store.checkSchema()).rejects.toThrow('99');
  });

  it('are dropped without a trace', async () => {
    await createOutboxSchema(orm);
    await run(...dropOutboxSchema());
    await expect(store.checkSchema()).rejects.toMatchObject({ code: 'SCHEMA_MISSING' });
    await createOutboxSchema(orm);
    await store.checkSchema();
  });
}
