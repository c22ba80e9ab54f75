import {
  AggregateRoot,
  ArchiveStore,
  DeadLetterStore,
  InboxStore,
  LeaseStore,
  OutboxStore,
  StatusStore,
  UnitOfWork,
  type AnyEvent,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import type { StoreFixture, StoreHarness } from '@cqrs-outbox/testing';
import { defineEntity, MikroORM as CoreMikroORM, p, raw, RequestContext } from '@mikro-orm/core';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import { BaseMySqlPlatform, BasePostgreSqlPlatform, type MikroORM } from '@mikro-orm/sql';
import { Test } from '@nestjs/testing';
import { createDatabase, dropDatabase, type DatabaseOptions } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

class Sample extends AggregateRoot {
  id!: string;
  value = 0;

  happen(event: AnyEvent): void {
    this.record(event);
  }
}

const sampleSchema = defineEntity({
  name: 'Sample',
  tableName: 'contract_sample',
  properties: { id: p.string().primary(), value: p.integer().fieldName('amount') },
});
sampleSchema.setClass(Sample);

const TABLES = [
  'contract_sample',
  'cqrs_outbox',
  'cqrs_outbox_delayed',
  'cqrs_outbox_retry',
  'cqrs_outbox_dead_letter',
  'cqrs_outbox_archive',
  'cqrs_outbox_relay',
  'cqrs_outbox_slot',
  'cqrs_inbox',
  'cqrs_inbox_dead_letter',
];

/** Every instant by the database's clock. */
const INSTANTS = {
  cqrs_outbox_delayed: 'available_at',
  cqrs_outbox_retry: 'retry_at',
  cqrs_outbox_dead_letter: 'failed_at',
  cqrs_outbox_archive: 'published_at',
  cqrs_outbox_relay: 'expires_at',
  cqrs_inbox: 'received_at',
  cqrs_inbox_dead_letter: 'rejected_at',
};

const CLOCKS = {
  mysql: 'unix_timestamp(now(3)) * 1000',
  postgresql: 'extract(epoch from clock_timestamp()) * 1000',
  sqlite: "unixepoch('subsec') * 1000",
};

/** MikroORM's store on a database that is made for it. */
export function mikroOrmHarness(
  isServer: boolean,
  options: () => DatabaseOptions,
  createTables: (orm: MikroORM) => Promise<void> = createDatabase,
): StoreHarness {
  return {
    can: { openTransactionsAtOnce: isServer, lockRows: isServer },
    open: () => openFixture(options(), createTables),
  };
}

/** The way of those who let MikroORM make all tables from the entities. */
export async function createTablesFromEntities(orm: MikroORM): Promise<void> {
  await orm.schema.ensureDatabase();
  await orm.schema.create();
}

async function openFixture(
  options: DatabaseOptions,
  createTables: (orm: MikroORM) => Promise<void>,
): Promise<StoreFixture> {
  const entities = [sampleSchema, ...outboxEntities];
  const module = await Test.createTestingModule({
    imports: [MikroOrmModule.forRoot({ ...options, entities, logger: () => undefined }), MikroOrmOutbox],
  })
    .setLogger(silentLogger)
    .compile();
  const orm = module.get<MikroORM>(CoreMikroORM);
  await createTables(orm);
  await module.init();
  const { em } = orm;
  const run = async (sql: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> =>
    orm.em.getConnection().execute<Record<string, unknown>[]>(sql, parameters);
  return {
    unitOfWork: module.get(UnitOfWork),
    outbox: module.get(OutboxStore),
    leases: module.get(LeaseStore),
    deadLetters: module.get(DeadLetterStore),
    archive: module.get(ArchiveStore),
    status: module.get(StatusStore),
    inbox: module.get(InboxStore),
    clear: async () => {
      for (const table of TABLES) await run(`delete from ${table}`);
    },
    now: async () => {
      const [row] = await run(`select ${CLOCKS[dialectOf(orm)]} as now_ms`);
      return Math.floor(Number(row?.['now_ms']));
    },
    passTime: async (ms) => {
      for (const [table, column] of Object.entries(INSTANTS))
        await run(`update ${table} set ${column} = ${column} - ?`, [ms]);
    },
    deleteSlot: async (slot) => {
      await run('delete from cqrs_outbox_slot where slot = ?', [slot]);
    },
    damage: async (messageId, destination) => {
      const row = 'where message_id = ? and destination = ?';
      await run(`update cqrs_outbox set headers = '{"cut": ' ${row}`, [messageId, destination]);
    },
    savepoint: (work) => em.transactional(() => work()),
    transactionOfUser: (work) => RequestContext.create(em, () => em.transactional(() => work())),
    create: async (id) => {
      const sample = new Sample();
      sample.id = id;
      em.persist(sample);
      return sample;
    },
    load: async (id) => (await em.findOne(Sample, { id })) ?? undefined,
    increment: async (id) => {
      await em.nativeUpdate(Sample, { id }, { value: raw('amount + 1') });
      const reader = em.fork({ clear: true, keepTransactionContext: true });
      return (await reader.findOneOrFail(Sample, { id })).value;
    },
    rejected: async () => (await run('select * from cqrs_inbox_dead_letter order by id')).map(toRejected),
    close: async () => {
      await module.close();
      await dropDatabase(options);
    },
  };
}

function dialectOf(orm: MikroORM): keyof typeof CLOCKS {
  const platform = orm.em.getPlatform();
  if (platform instanceof BaseMySqlPlatform) return 'mysql';
  return platform instanceof BasePostgreSqlPlatform ? 'postgresql' : 'sqlite';
}

function toRejected(row: Record<string, unknown>): RejectedMessage {
  return {
    messageId: (row['message_id'] as string | null) ?? undefined,
    name: (row['name'] as string | null) ?? undefined,
    topic: row['topic'] as string,
    key: (row['message_key'] as string | null) ?? undefined,
    coordinates: row['coordinates'] as string,
    reason: row['reason'] as string,
    stack: (row['stack'] as string | null) ?? undefined,
    attempts: row['attempts'] as number,
    headers: JSON.parse(row['headers'] as string) as Record<string, string>,
    payload: toBytes(row['payload']),
  };
}

function toBytes(value: unknown): Buffer | null {
  return value === null ? null : Buffer.from(value as Uint8Array);
}
