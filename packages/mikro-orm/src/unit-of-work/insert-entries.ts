import type { OutboxEntry } from '@cqrs-outbox/core';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxTransaction } from '../schema/tables.js';
import { inserts, toRow } from '../store/entry-rows.js';

/** Inserts entries in their order, and delayed ones where they wait. */
export async function insertEntries(
  transaction: OutboxTransaction,
  dialect: SqlDialect,
  entries: readonly OutboxEntry[],
): Promise<void> {
  const isDelayed = ({ availableAt }: OutboxEntry): boolean => availableAt !== undefined;
  for (const batch of inserts(entries.filter((entry) => !isDelayed(entry))))
    await transaction.executeQuery(insertOf(dialect, 'cqrs_outbox', batch.map(toRow)));
  for (const batch of inserts(entries.filter(isDelayed))) {
    const rows = batch.map((entry) => ({ ...toRow(entry), available_at: entry.availableAt?.getTime() ?? 0 }));
    await transaction.executeQuery(insertOf(dialect, 'cqrs_outbox_delayed', rows));
  }
}

/**
 * Written out, since it is a part of every transaction with an event: to have it built of its parts takes longer than
 * all else that is done here.
 *
 * @param rows all with the same columns, in the same order
 */
function insertOf(
  dialect: SqlDialect,
  table: string,
  rows: readonly Readonly<Record<string, unknown>>[],
): CompiledQuery {
  const columns = Object.keys(rows[0] ?? {});
  const parameters = rows.flatMap((row) => Object.values(row));
  const groups = rows.map((_, row) => {
    const places = columns.map((_, column) => placeOf(dialect, row * columns.length + column));
    return `(${places.join()})`;
  });
  return CompiledQuery.raw(`insert into ${table} (${columns.join()}) values ${groups.join()}`, parameters);
}

function placeOf(dialect: SqlDialect, index: number): string {
  return dialect === 'postgresql' ? `$${index + 1}` : '?';
}
