import {
  CqrsOutboxError,
  DeadLetters,
  InboxDeadLetters,
  InboxStore,
  Outbox,
  OutboxRelay,
  OutboxStore,
  UnitOfWork,
} from '@cqrs-outbox/core';
import {
  createOutboxSchema,
  dropOutboxSchema,
  migrateOutboxSchema,
  upgradeOutboxSchema,
  type SqlDialect,
} from '@cqrs-outbox/mikro-orm';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/sql';
import type { INestApplication } from '@nestjs/common';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp, type TestAppSettings } from '../support/app.ts';
import {
  DATABASES,
  databaseOptions,
  dropDatabase,
  type DatabaseName,
  type DatabaseOptions,
} from '../support/database.ts';
import { OrderPaid } from '../support/orders.ts';
import { ScriptedTransport } from '../support/scripted-transport.ts';
import { outboxSchemaVersion1 } from './schema-version-1.ts';
import { outboxSchemaVersion2 } from './schema-version-2.ts';

const DIALECTS = { libsql: 'sqlite', mariadb: 'mysql', postgres: 'postgresql' } as const;

/** Every version that there is a way from, with its statements. */
const VERSIONS = [
  [1, outboxSchemaVersion1],
  [2, outboxSchemaVersion2],
] as const;

for (const { name, needs } of DATABASES) {
  for (const [version, statementsOf] of VERSIONS)
    describeWith(needs, `the upgrade of the tables from version ${version} on ${name}`, () =>
      upgradeTests(name, version, statementsOf),
    );
}

function upgradeTests(
  name: DatabaseName,
  version: number,
  statementsOf: (dialect: SqlDialect) => string[],
): void {
  const dialect: SqlDialect = DIALECTS[name];
  let options: DatabaseOptions;
  let test: TestApp | undefined;
  let transport: ScriptedTransport;

  /** Boots an application on a database of the old version that `prepare` has upgraded. */
  const start = async (prepare: (orm: MikroORM) => Promise<void>): Promise<TestApp> => {
    let booting: INestApplication | undefined;
    const settings: TestAppSettings = {
      database: name,
      orm: options,
      options: { transport },
      beforeInit: async (app, orm) => {
        booting = app;
        await orm.schema.ensureDatabase();
        await run(orm, ...statementsOf(dialect));
        await prepare(orm);
      },
    };
    try {
      return (test = await createTestApp(settings));
    } catch (error) {
      await booting?.close();
      throw error;
    }
  };

  const publishAll = async ({ app }: TestApp): Promise<void> => {
    for (let round = 0; round < 10; round++) await app.get(OutboxRelay).runOnce();
  };

  beforeEach(() => {
    options = databaseOptions(name);
    transport = new ScriptedTransport();
  });

  afterEach(async () => {
    await test?.close();
    test = undefined;
    await dropDatabase(options);
  });

  it('keeps every row: what waits is relayed in order, what was parked and what was given up too', async () => {
    const { app, orm } = await start(async (booting) => {
      await insertOldRows(booting);
      await migrateOutboxSchema(booting);
    });
    const [retry] = await run(orm, 'select attempts, retry_at from cqrs_outbox_retry');
    expect([Number(retry?.['attempts']), Number(retry?.['retry_at'])]).toEqual([2, 0]);

    await publishAll(test!);
    expect(transport.stepsOf('a')).toEqual([1, 2]);
    expect(transport.stepsOf('b')).toEqual([1, 2]);
    expect(await run(orm, 'select * from cqrs_outbox_retry')).toEqual([]);

    const letters = await app.get(DeadLetters).list();
    expect(letters).toMatchObject([
      {
        id: 'letter',
        attempts: 10,
        error: 'gone bad',
        history: [],
        stack: undefined,
        isParking: false,
      },
    ]);
    await app.get(DeadLetters).requeue({ messageId: 'letter' });
    await publishAll(test!);
    expect(transport.stepsOf('c')).toEqual([7]);
    expect(await app.get(InboxStore).purge(1_000, 10)).toBe(1);
  });

  it("keeps the inbox's dead letters, which can't be retried without what they did not keep", async () => {
    const { app } = await start(async (booting) => {
      await insertOldRows(booting);
      await migrateOutboxSchema(booting);
    });
    const letters = await app.get(InboxDeadLetters).list();
    expect(letters).toMatchObject([
      {
        messageId: 'rejected',
        reason: 'no object',
        attempts: 0,
        topic: '',
        key: undefined,
        headers: { a: 'b' },
        incompleteParts: ['topic', 'key'],
      },
    ]);
    const retry = app.get(InboxDeadLetters).retry({ deadLetterId: letters[0]!.deadLetterId });
    await expect(retry).rejects.toMatchObject({ code: 'DEAD_LETTER_INCOMPLETE' });
    expect(await app.get(InboxDeadLetters).discard({ messageId: 'rejected' })).toBe(1);
  });

  it('leaves nothing that the schema comparator would change', async () => {
    const { orm } = await start(migrateOutboxSchema);
    expect(await orm.schema.getUpdateSchemaSQL({ safe: true })).not.toContain('cqrs_');
  });

  it('can be made by the statements of a migration', async () => {
    const { app } = await start(async (orm) => {
      await insertOldRows(orm);
      await run(orm, ...upgradeOutboxSchema(dialect, version));
    });
    await app.get(OutboxStore).checkSchema();
    await publishAll(test!);
    expect(transport.published).toHaveLength(4);
  });

  it('does nothing the second time, and creates tables that are missing', async () => {
    const { app, orm } = await start(async (booting) => {
      await migrateOutboxSchema(booting);
      await migrateOutboxSchema(booting);
    });
    await run(orm, 'delete from cqrs_outbox_key_lock where bucket > 9');
    await app.get(OutboxStore).checkSchema();
    expect(await run(orm, 'select * from cqrs_outbox_key_lock')).toHaveLength(256);
    await run(orm, ...dropOutboxSchema());
    await Promise.all([migrateOutboxSchema(orm), migrateOutboxSchema(orm)]);
    await app.get(OutboxStore).checkSchema();
  });

  it('can be run by several processes at the same time', async () => {
    const { app } = await start(async (orm) => {
      await insertOldRows(orm);
      await Promise.all([1, 2, 3].map(() => migrateOutboxSchema(orm)));
    });
    await app.get(OutboxStore).checkSchema();
    await publishAll(test!);
    expect(transport.published).toHaveLength(4);
  });

  it('goes on where a crash has stopped it', async () => {
    const statements = upgradeOutboxSchema(dialect, version);
    for (const done of new Set([1, 3, 6, statements.length - 1])) {
      const { app, orm } = await start(async (booting) => {
        await insertOldRows(booting);
        // Its transactions leave nothing half done, but for MySQL's.
        if (dialect === 'mysql') await run(booting, ...statements.slice(0, done));
        await migrateOutboxSchema(booting);
      });
      await app.get(OutboxStore).checkSchema();
      await publishAll(test!);
      expect(transport.published).toHaveLength(4);
      transport.published.length = 0;
      await run(orm, 'select slot from cqrs_outbox');
      await test?.close();
      test = undefined;
      await dropDatabase(options);
      options = databaseOptions(name);
    }
  });

  it('takes what a writer of the old version inserts while it runs and after', async () => {
    const { orm } = await start(async (booting) => {
      await migrateOutboxSchema(booting);
      await insertOldRows(booting);
    });
    await publishAll(test!);
    expect(transport.stepsOf('a')).toEqual([1, 2]);
    expect(await run(orm, 'select * from cqrs_outbox')).toEqual([]);
  });

  it('goes on with an append of its own', async () => {
    const { app } = await start(migrateOutboxSchema);
    await app.get(UnitOfWork).runInTransaction(async () => {
      app.get(Outbox).append(OrderPaid.of({ orderId: 1, step: 5 }));
    });
    await publishAll(test!);
    expect(transport.stepsOf('1')).toEqual([5]);
  });

  it('is asked for by the boot, and not done by createOutboxSchema', async () => {
    const booting = start(createOutboxSchema);
    await expect(booting).rejects.toMatchObject({ code: 'SCHEMA_VERSION' });
    await expect(booting).rejects.toThrow(`npx cqrs-outbox-schema ${dialect} --from ${version}`);
    await expect(booting).rejects.toThrow('migrateOutboxSchema(orm)');
  });

  it('refuses tables that are newer than the package', async () => {
    const refused = jest.fn();
    await start(async (orm) => {
      await migrateOutboxSchema(orm);
      await run(orm, 'update cqrs_outbox_schema set version = 99');
      await migrateOutboxSchema(orm).catch(refused);
      await run(orm, 'update cqrs_outbox_schema set version = 3');
    });
    expect(refused).toHaveBeenCalledWith(expect.any(CqrsOutboxError));
    expect(refused).toHaveBeenCalledWith(
      expect.objectContaining({
        code: 'SCHEMA_VERSION',
        message: expect.stringContaining('99') as unknown,
      }),
    );
  });
}

async function run(orm: MikroORM, ...statements: string[]): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = [];
  for (const statement of statements)
    rows = await orm.em.fork().getConnection().execute<Record<string, unknown>[]>(statement);
  return rows;
}

/** Two keys with two entries each, the second of which waits for a retry; a dead letter; an inbox row and a dead letter of its. */
async function insertOldRows(orm: MikroORM): Promise<void> {
  const columns =
    'message_id, destination, topic, message_key, name, version, source, occurred_at, correlation_id, ' +
    'content_type, headers, payload';
  const values = (id: string, key: string, step: number): string =>
    `'${id}', 'default', 'orders', '${key}', 'orders.paid', 1, 'tests', 1, '${id}', 'application/json', '{}', '{"step":${step}}'`;
  const rows = [values('a1', 'a', 1), values('b1', 'b', 1), values('a2', 'a', 2), values('b2', 'b', 2)];
  for (const row of rows) await run(orm, `insert into cqrs_outbox (${columns}) values (${row})`);
  await run(
    orm,
    `insert into cqrs_outbox_retry (destination, message_key, entry_id, attempts, retry_at, last_error)
     select destination, message_key, id, 2, 0, 'refused' from cqrs_outbox where message_id = 'b1'`,
    `insert into cqrs_outbox_dead_letter (${columns}, attempts, last_error, failed_at)
     values (${values('letter', 'c', 7)}, 10, 'gone bad', 1)`,
    `insert into cqrs_inbox (message_id, handler, received_at) values ('m', 'h', 1)`,
    `insert into cqrs_inbox_dead_letter (message_id, coordinates, reason, headers, payload, rejected_at)
     values ('rejected', 'kafka orders[0]@1', 'no object', '{"a":"b"}', '[]', 1)`,
  );
}
