import {
  CqrsOutboxError,
  OutboxStore,
  type DeadLetterReason,
  type EntrySelection,
  type StoredEntry,
} from '@cqrs-outbox/core';
import { TableNotFoundException } from '@mikro-orm/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS, SCHEMA_VERSION, type OutboxKysely } from '../schema/tables.js';
import { toEntry, type FetchedRow } from './entry-rows.js';
import type { OutboxConnection } from './outbox-connection.js';
import { printable } from './printable-text.js';

/** Those whose presence the boot check makes sure of. */
const OUTBOX_TABLES = [
  'cqrs_outbox',
  'cqrs_outbox_retry',
  'cqrs_outbox_dead_letter',
  'cqrs_inbox',
  'cqrs_inbox_dead_letter',
] as const;

/** What is kept of an error's text. */
const MAX_ERROR_LENGTH = 2_000;

/** The outbox table behind MikroORM's connection. Every method runs outside of transactions of the application. */
export class MikroOrmOutboxStore extends OutboxStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async checkSchema(): Promise<void> {
    const found = await this.schemaVersion();
    if (found === SCHEMA_VERSION) return;
    throw new CqrsOutboxError(
      'SCHEMA_VERSION',
      `The outbox tables have version ${found}, this package needs ${SCHEMA_VERSION}. Install the package version that ` +
        `belongs to the tables, or migrate them: npx cqrs-outbox-schema ${this.connection.dialect} prints the current ones.`,
    );
  }

  async fetch({ destination, except, limit }: EntrySelection): Promise<StoredEntry[]> {
    const client = await this.connection.client();
    const retries = await client
      .selectFrom('cqrs_outbox_retry')
      .select('entry_id')
      .where('destination', '=', destination)
      .limit(1)
      .execute();
    // The planners of the databases misjudge the join so far that they sort the whole outbox for each batch.
    const isRetrying = retries.length > 0;
    const query = sql<FetchedRow>`
      select o.*, ${isRetrying ? sql`r.attempts` : sql`0`} as attempts
      from cqrs_outbox o
      ${isRetrying ? this.retryJoin : sql``}
      where o.destination = ${destination}
        ${except.length > 0 ? sql`and o.id not in (${sql.join(except.map(BigInt))})` : sql``}
        ${isRetrying ? sql`and (r.entry_id is null or (r.entry_id = o.id and r.retry_at <= ${this.connection.now}))` : sql``}
      order by o.id
      limit ${sql.lit(limit)}`;
    const { rows } = await query.execute(client);
    return rows.map(toEntry);
  }

  async fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]> {
    const query = sql<FetchedRow>`
      select o.*, r.attempts
      from cqrs_outbox o
      join cqrs_outbox wanted
        on wanted.message_id = ${messageId} and wanted.destination = ${destination}
        and o.destination = wanted.destination and o.message_key = wanted.message_key and o.id <= wanted.id
      left join cqrs_outbox_retry r on r.destination = o.destination and r.entry_id = o.id
        and r.message_key = o.message_key
      order by o.id
      limit ${sql.lit(limit)}`;
    const { rows } = await query.execute(await this.connection.client());
    return rows.map(toEntry);
  }

  async remove(entries: readonly StoredEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const ids = entries.map(({ position }) => BigInt(position));
    const retried = entries.filter(({ attempts }) => attempts > 0);
    await this.connection.withLockRetries(async (client) => {
      await client.deleteFrom('cqrs_outbox').where('id', 'in', ids).execute();
      // After the entries: a retry without its entry blocks nothing, an entry without its retry would lose its count.
      for (const entry of retried) await forgetRetry(client, entry);
    });
  }

  async reschedule(entry: StoredEntry, delayMs: number, error: string): Promise<void> {
    const { destination, key, position, attempts } = entry;
    await this.connection.withLockRetries((client) =>
      client.transaction().execute(async (transaction) => {
        await forgetRetry(transaction, entry);
        await transaction
          .insertInto('cqrs_outbox_retry')
          .values({
            destination,
            message_key: key,
            entry_id: BigInt(position),
            attempts: attempts + 1,
            retry_at: sql<number>`${this.connection.now} + ${sql.lit(delayMs)}`,
            last_error: printable(error, MAX_ERROR_LENGTH),
          })
          .execute();
      }),
    );
  }

  async bury(entry: StoredEntry, { attempts, error }: DeadLetterReason): Promise<void> {
    const id = BigInt(entry.position);
    await this.connection.withLockRetries((client) =>
      client.transaction().execute(async (transaction) => {
        await transaction
          .insertInto('cqrs_outbox_dead_letter')
          .columns([...ENTRY_COLUMNS, 'attempts', 'last_error', 'failed_at'])
          .expression((builder) =>
            builder
              .selectFrom('cqrs_outbox')
              .select([...ENTRY_COLUMNS])
              .select([
                sql<number>`${sql.lit(attempts)}`.as('attempts'),
                sql<string>`cast(${printable(error, MAX_ERROR_LENGTH)} as ${this.textType})`.as('last_error'),
                this.connection.now.as('failed_at'),
              ])
              .where('id', '=', id),
          )
          .execute();
        await transaction.deleteFrom('cqrs_outbox').where('id', '=', id).execute();
        await forgetRetry(transaction, entry);
      }),
    );
  }

  async count(destination: string): Promise<number> {
    const client = await this.connection.client();
    const { total } = await client
      .selectFrom('cqrs_outbox')
      .select((builder) => builder.fn.countAll().as('total'))
      .where('destination', '=', destination)
      .executeTakeFirstOrThrow();
    return Number(total);
  }

  /**
   * Of a key that is being retried only the refused entry may come, and not before its time. A retry whose entry is
   * gone (deleted by hand) blocks nothing.
   */
  private get retryJoin() {
    return sql`
      left join cqrs_outbox_retry r
        on r.destination = o.destination and r.message_key = o.message_key
        and exists (select 1 from cqrs_outbox h where h.id = r.entry_id)`;
  }

  /** The name of a text type in a cast; without one, PostgreSQL does not know what kind a bare parameter is. */
  private get textType() {
    return sql.raw(this.connection.dialect === 'mysql' ? 'char' : 'text');
  }

  private async schemaVersion(): Promise<number> {
    const client = await this.connection.client();
    try {
      const row = await client.selectFrom('cqrs_outbox_schema').select('version').executeTakeFirst();
      for (const table of OUTBOX_TABLES)
        await client
          .selectFrom(table)
          .select(sql`1`.as('one'))
          .limit(0)
          .execute();
      if (row) return row.version;
    } catch (error) {
      throw this.connection.convert(error) instanceof TableNotFoundException
        ? schemaMissing(this.connection.dialect)
        : error;
    }
    // Made from the entities, by MikroORM's schema generator, which fills in no rows.
    await client.insertInto('cqrs_outbox_schema').values({ version: SCHEMA_VERSION }).execute();
    return SCHEMA_VERSION;
  }
}

async function forgetRetry(client: OutboxKysely, { destination, key }: StoredEntry): Promise<void> {
  await client
    .deleteFrom('cqrs_outbox_retry')
    .where('destination', '=', destination)
    .where('message_key', '=', key)
    .execute();
}

function schemaMissing(dialect: string): CqrsOutboxError {
  return new CqrsOutboxError(
    'SCHEMA_MISSING',
    `The outbox tables are missing. npx cqrs-outbox-schema ${dialect} prints the SQL that creates them, for a migration; ` +
      `await createOutboxSchema(orm) runs it.`,
  );
}
