import { CompiledQuery, sql } from 'kysely';
import type { SqlDialect } from './sql-dialect.js';
import type { OutboxKysely } from './tables.js';

const LOCK_NAME = 'cqrs_outbox_schema';
/** How long one process waits for the other's upgrade. */
const LOCK_TIMEOUT_S = 300;

/**
 * Runs `work` on one connection while no other process does the same in this database: in a transaction, where the
 * database has transactions of schema changes.
 */
export async function withSchemaLock(
  client: OutboxKysely,
  dialect: SqlDialect,
  work: (client: OutboxKysely) => Promise<void>,
): Promise<void> {
  await client.connection().execute(async (connection) => {
    if (dialect === 'mysql') return withNamedLock(connection, work);
    await withTransaction(connection, dialect, work);
  });
}

async function withNamedLock(
  client: OutboxKysely,
  work: (client: OutboxKysely) => Promise<void>,
): Promise<void> {
  const name = sql`concat(${`${LOCK_NAME}.`}, md5(database()))`;
  const { rows } = await sql<{ locked: number | string | null }>`
    select get_lock(${name}, ${sql.lit(LOCK_TIMEOUT_S)}) as locked`.execute(client);
  if (Number(rows[0]?.locked) !== 1)
    throw new Error(
      `Another process has been upgrading the outbox tables for over ${LOCK_TIMEOUT_S} seconds.`,
    );
  try {
    await work(client);
  } finally {
    await sql`select release_lock(${name})`.execute(client);
  }
}

async function withTransaction(
  client: OutboxKysely,
  dialect: SqlDialect,
  work: (client: OutboxKysely) => Promise<void>,
): Promise<void> {
  const run = (statement: string) => client.executeQuery(CompiledQuery.raw(statement));
  await run(dialect === 'sqlite' ? 'begin immediate' : 'begin');
  try {
    if (dialect === 'postgresql') await run(`select pg_advisory_xact_lock(hashtext('${LOCK_NAME}'))`);
    await work(client);
    await run('commit');
  } catch (error) {
    await run('rollback');
    throw error;
  }
}
