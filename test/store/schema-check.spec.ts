import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CqrsOutboxModule, NullTransport, OutboxStore } from '@cqrs-outbox/core';
import { MikroOrmOutbox, createOutboxSchema, dropOutboxSchema, outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroORM as CoreMikroORM } from '@mikro-orm/core';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { MikroORM } from '@mikro-orm/sql';
import { Test, type TestingModule } from '@nestjs/testing';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, databaseOptions, dropDatabase, type DatabaseOptions } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { outboxSchemaVersion1 } from './schema-version-1.ts';
import { outboxSchemaVersion2 } from './schema-version-2.ts';

const DIALECTS = { libsql: 'sqlite', mariadb: 'mysql', postgres: 'postgresql' } as const;
/** Those that version 1 did not have. */
const NEW_TABLES = ['delayed', 'archive', 'relay', 'slot', 'key_lock'].map((part) => `cqrs_outbox_${part}`);

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the check of the tables on ${name}`, () => {
    let module: TestingModule;
    let options: DatabaseOptions;

    const compile = async (): Promise<MikroORM> => {
      options = databaseOptions(name);
      module = await Test.createTestingModule({
        imports: [
          MikroOrmModule.forRoot({ ...options, entities: [...outboxEntities], logger: () => undefined }),
          CqrsOutboxModule.forRoot({
            source: 'tests',
            transport: new NullTransport(),
            relay: false,
            store: MikroOrmOutbox,
          }),
        ],
      })
        .setLogger(silentLogger)
        .compile();
      const orm = module.get<MikroORM>(CoreMikroORM);
      await orm.schema.ensureDatabase();
      return orm;
    };

    afterEach(async () => {
      await module.close();
      await dropDatabase(options);
    });

    it('stops the boot when the tables are missing, and names the command that creates them', async () => {
      await compile();
      const booting = module.init();
      await expect(booting).rejects.toMatchObject({ code: 'SCHEMA_MISSING' });
      await expect(booting).rejects.toThrow(`npx cqrs-outbox-schema ${DIALECTS[name]}`);
    });

    it('stops the boot when the tables have another version', async () => {
      const orm = await compile();
      await createOutboxSchema(orm);
      await orm.em.fork().getConnection().execute('update cqrs_outbox_schema set version = 99');
      await expect(module.init()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
    });

    it.each(['cqrs_outbox', 'cqrs_outbox_delayed', 'cqrs_outbox_slot', 'cqrs_inbox_dead_letter'])(
      'stops the boot when %s alone is missing',
      async (table) => {
        const orm = await compile();
        await createOutboxSchema(orm);
        await orm.em.fork().getConnection().execute(`drop table ${table}`);
        await expect(module.init()).rejects.toMatchObject({ code: 'SCHEMA_MISSING' });
      },
    );

    it('stops the boot when the tables are of version 1, whatever their row says, and names the ways out', async () => {
      const orm = await compile();
      const execute = (statement: string) => orm.em.fork().getConnection().execute(statement);
      for (const statement of outboxSchemaVersion1(DIALECTS[name])) await execute(statement);
      await expect(module.init()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
      await createOutboxSchema(orm);
      const check = module.get(OutboxStore).checkSchema();
      await expect(check).rejects.toThrow(`npx cqrs-outbox-schema ${DIALECTS[name]} --from 1`);
      await expect(check).rejects.toThrow('migrateOutboxSchema(orm)');
      // Version 1 made from its entities, and never booted since.
      await execute('delete from cqrs_outbox_schema');
      for (const table of NEW_TABLES) await execute(`create table ${table} (id int)`);
      await expect(module.get(OutboxStore).checkSchema()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
    });

    it('stops the boot when the tables are of version 2, whatever their row says', async () => {
      const orm = await compile();
      const execute = (statement: string) => orm.em.fork().getConnection().execute(statement);
      for (const statement of outboxSchemaVersion2(DIALECTS[name])) await execute(statement);
      const check = () => module.get(OutboxStore).checkSchema();
      await expect(module.init()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
      for (const statement of [
        'update cqrs_outbox_schema set version = 3',
        'delete from cqrs_outbox_schema',
      ]) {
        await execute(statement);
        await expect(check()).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
        await expect(check()).rejects.toThrow(`npx cqrs-outbox-schema ${DIALECTS[name]} --from 2`);
      }
    });

    it("takes tables that MikroORM's schema generator has made", async () => {
      const orm = await compile();
      await orm.schema.create();
      await expect(module.init()).resolves.toBeDefined();
    });

    it('creates tables twice without harm, and drops them', async () => {
      const orm = await compile();
      await createOutboxSchema(orm);
      await createOutboxSchema(orm);
      await expect(module.init()).resolves.toBeDefined();
      for (const statement of dropOutboxSchema()) await orm.em.fork().getConnection().execute(statement);
    });
  });
}

describe('a database that can not be asked', () => {
  it('does not stop the boot', async () => {
    const { MariaDbDriver } = await import('@mikro-orm/mariadb');
    const module = await Test.createTestingModule({
      imports: [
        MikroOrmModule.forRoot({
          driver: MariaDbDriver,
          clientUrl: 'mysql://root@127.0.0.1:9/nothing',
          entities: [...outboxEntities],
          logger: () => undefined,
          connect: false,
        } as never),
        CqrsOutboxModule.forRoot({
          source: 'tests',
          transport: new NullTransport(),
          relay: false,
          store: MikroOrmOutbox,
        }),
      ],
    })
      .setLogger(silentLogger)
      .compile();
    await expect(module.init()).resolves.toBeDefined();
    await module.close();
  });
});

describe('the command that prints the schema', () => {
  const cli = new URL('../../packages/mikro-orm/src/schema/cli.ts', import.meta.url).pathname;
  // The source names its neighbour as it is after the build.
  const hook = `data:text/javascript,import{registerHooks}from'node:module';registerHooks({resolve:(s,c,n)=>n(s.startsWith('./')?s.replace(/\\.js$/,'.ts'):s,c)})`;
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', hook, cli, ...args], { env: {} });

  it.each([
    ['mysql', 'longblob'],
    ['mariadb', 'longblob'],
    ['postgresql', 'bytea'],
    ['sqlite', 'autoincrement'],
  ])('prints the statements of %s', async (dialect, word) => {
    const { stdout } = await run(dialect);
    expect(stdout).toContain('create table if not exists cqrs_outbox (');
    expect(stdout).toContain(word);
    expect(stdout.split(';\n').filter((statement) => statement.trim() !== '').length).toBeGreaterThan(6);
  });

  it.each([
    ['mysql', 'alter table cqrs_outbox\n  add column'],
    ['mariadb', 'drop key cqrs_outbox_destination_id'],
    ['postgresql', 'add column if not exists slot int'],
    ['sqlite', 'alter table cqrs_outbox add column slot integer'],
  ])('prints the statements that upgrade tables of version 1 on %s', async (dialect, words) => {
    const { stdout } = await run(dialect, '--from', '1');
    expect(stdout).toContain(words);
    expect(stdout.trimEnd()).toMatch(/update cqrs_outbox_schema set version = 3 where version = 1;$/);
  });

  it.each(['mysql', 'mariadb', 'postgresql', 'sqlite'])(
    'prints the statements that upgrade tables of version 2 on %s, and none of version 1',
    async (dialect) => {
      const { stdout } = await run(dialect, '--from', '2');
      expect(stdout).toMatch(/alter table cqrs_inbox_dead_letter\s+add column/);
      expect(stdout).not.toMatch(/alter table cqrs_outbox\b/);
      expect(stdout.trimEnd()).toMatch(/update cqrs_outbox_schema set version = 3 where version = 2;$/);
    },
  );

  it('prints nothing when there is nothing to upgrade, and refuses a version that there is not', async () => {
    expect((await run('mysql', '--from', '3')).stdout).toBe('');
    await expect(run('mysql', '--from', '7')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('from version 7') as unknown,
    });
    await expect(run('mysql', '--from')).rejects.toMatchObject({ code: 2 });
  });

  it('says how it is used', async () => {
    await expect(run('oracle')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('usage: cqrs-outbox-schema mysql|mariadb|postgresql|sqlite') as unknown,
    });
  });
});
