import { crc32 } from 'node:zlib';
import { sql } from 'kysely';
import { KEY_LOCK_BUCKETS } from '../schema/schema-version.js';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxTransaction } from '../schema/tables.js';
import { ignoringConflicts } from '../store/statements.js';

/**
 * Locks the rows that keys share until the end of the transaction, in ascending order, so that two can't deadlock here.
 * Nothing to do in SQLite: a transaction that has written is the only writer until its end.
 */
export async function lockKeys(
  transaction: OutboxTransaction,
  dialect: SqlDialect,
  keys: readonly string[],
): Promise<void> {
  if (dialect === 'sqlite' || keys.length === 0) return;
  const buckets = [...new Set(keys.map((key) => crc32(key) % KEY_LOCK_BUCKETS))].sort((a, b) => a - b);
  const locked = await lockBuckets(transaction, buckets);
  if (locked.size === buckets.length) return;
  // Filled in at boot as a rule: only where the rows were deleted since.
  const missing = buckets.filter((bucket) => !locked.has(bucket)).map((bucket) => sql`(${sql.lit(bucket)})`);
  await sql`
    insert into cqrs_outbox_key_lock (bucket) values ${sql.join(missing)}
    ${ignoringConflicts(dialect, 'cqrs_outbox_key_lock', 'bucket')}`.execute(transaction);
  await lockBuckets(transaction, buckets);
}

async function lockBuckets(
  transaction: OutboxTransaction,
  buckets: readonly number[],
): Promise<ReadonlySet<number>> {
  const rows = await transaction
    .selectFrom('cqrs_outbox_key_lock')
    .select('bucket')
    .where('bucket', 'in', buckets)
    .orderBy('bucket')
    .forUpdate()
    .execute();
  return new Set(rows.map(({ bucket }) => bucket));
}
