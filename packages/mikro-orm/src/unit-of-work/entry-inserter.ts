import type { OutboxEntry } from '@cqrs-outbox/core';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxTransaction } from '../schema/tables.js';
import { INSERTED_COLUMNS, inserts, toValues } from '../store/entry-rows.js';

/**
 * Inserts entries. The statement is written out, and the one of a single entry kept, since it is a part of every transaction
 * with an event: to have it built of its parts takes longer than all else that is done here.
 */
export class EntryInserter {
  readonly #one: string;

  constructor(private readonly dialect: SqlDialect) {
    this.#one = insertOf(dialect, 'cqrs_outbox', INSERTED_COLUMNS, 1);
  }

  /** Inserts entries in their order, and delayed ones where they wait. */
  async insert(transaction: OutboxTransaction, entries: readonly OutboxEntry[]): Promise<void> {
    const [entry] = entries;
    if (entry && entries.length === 1 && !isDelayed(entry)) {
      await transaction.executeQuery(CompiledQuery.raw(this.#one, toValues(entry)));
      return;
    }
    for (const batch of inserts(entries.filter((one) => !isDelayed(one))))
      await this.insertInto(transaction, 'cqrs_outbox', INSERTED_COLUMNS, batch.map(toValues));
    for (const batch of inserts(entries.filter(isDelayed))) {
      const rows = batch.map((one) => [...toValues(one), one.availableAt?.getTime() ?? 0]);
      await this.insertInto(transaction, 'cqrs_outbox_delayed', [...INSERTED_COLUMNS, 'available_at'], rows);
    }
  }

  private async insertInto(
    transaction: OutboxTransaction,
    table: string,
    columns: readonly string[],
    rows: readonly (readonly unknown[])[],
  ): Promise<void> {
    const statement = insertOf(this.dialect, table, columns, rows.length);
    await transaction.executeQuery(CompiledQuery.raw(statement, rows.flat()));
  }
}

function isDelayed({ availableAt }: OutboxEntry): boolean {
  return availableAt !== undefined;
}

function insertOf(dialect: SqlDialect, table: string, columns: readonly string[], rows: number): string {
  const placeOf = (index: number): string => (dialect === 'postgresql' ? `$${index + 1}` : '?');
  const groups = Array.from({ length: rows }, (_, row) => {
    const places = columns.map((_name, column) => placeOf(row * columns.length + column));
    return `(${places.join()})`;
  });
  return `insert into ${table} (${columns.join()}) values ${groups.join()}`;
}
