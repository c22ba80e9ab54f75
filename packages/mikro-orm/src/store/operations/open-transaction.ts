import type { OpenTransaction } from '@cqrs-outbox/core';
import { sql, type RawBuilder } from 'kysely';
import type { OutboxConnection } from '../outbox-connection.js';

/** Shorter ones are of no interest, in milliseconds. */
const MIN_AGE_MS = 1_000;
/** `PROCESS privilege needed`, by which MySQL refuses information_schema.innodb_trx. */
const MYSQL_ACCESS_DENIED = 1227;

interface TransactionRow {
  connection: string | number;
  age_ms: number | string;
  statement: string | null;
}

/** The oldest open transaction of this database that has written, as far as the database tells. */
export async function findOpenTransaction(
  connection: OutboxConnection,
): Promise<OpenTransaction | undefined> {
  if (connection.dialect === 'sqlite') return undefined;
  const query = connection.dialect === 'mysql' ? mysqlQuery() : postgresqlQuery();
  try {
    const { rows } = await query.execute(await connection.client());
    return rows[0] && toOpenTransaction(rows[0]);
  } catch (error) {
    if ((error as { errno?: number }).errno === MYSQL_ACCESS_DENIED) return undefined;
    throw error;
  }
}

function toOpenTransaction({ connection, age_ms, statement }: TransactionRow): OpenTransaction {
  return {
    connection: String(connection),
    ageMs: Math.round(Number(age_ms)),
    statement: statement ?? undefined,
  };
}

/** A transaction has an id of its own once it has written. */
function postgresqlQuery(): RawBuilder<TransactionRow> {
  return sql<TransactionRow>`
    select pid as connection, extract(epoch from clock_timestamp() - xact_start) * 1000 as age_ms, query as statement
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_xid is not null
      and xact_start < clock_timestamp() - interval '${sql.raw(String(MIN_AGE_MS))} milliseconds'
    order by xact_start
    limit 1`;
}

/** Its start is told in the server's own time zone. */
function mysqlQuery(): RawBuilder<TransactionRow> {
  const age = sql`timestampdiff(microsecond, convert_tz(t.trx_started, 'SYSTEM', '+00:00'), utc_timestamp(6)) / 1000`;
  return sql<TransactionRow>`
    select t.trx_mysql_thread_id as connection, ${age} as age_ms, coalesce(t.trx_query, p.info) as statement
    from information_schema.innodb_trx t
    join information_schema.processlist p on p.id = t.trx_mysql_thread_id
    where p.db = database() and t.trx_mysql_thread_id <> connection_id() and t.trx_rows_modified > 0
      and ${age} > ${sql.lit(MIN_AGE_MS)}
    order by t.trx_started
    limit 1`;
}
