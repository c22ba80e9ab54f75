import type { OutboxEntry } from '@cqrs-outbox/core';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import { INSERTED_COLUMNS, inserts, toValues } from '../store/entry-rows.js';

/**
 * The statements that insert entries. They are written out, and that of a single entry is kept, since it is a part of every transaction
 * with an event: to have it built of its parts takes longer than all else that is done here.
 */
export class EntryInserter {
  readonly #one: string;

  constructor(private readonly dialect: SqlDialect) {
    this.#one = insertOf(dialect, 'cqrs_outbox', INSERTED_COLUMNS, 1);
  }

  /** Insert entries in their order, and delayed ones where they wait. As a rule it is one. */
  statementsOf(entries: readonly OutboxEntry[]): readonly CompiledQuery[] {
    const [entry] = entries;
    if (entry && entries.length === 1 && !isDelayed(entry))
      return [CompiledQuery.raw(this.#one, toValues(entry))];
    const atOnce = inserts(entries.filter((one) => !isDelayed(one))).map((batch) =>
      this.insertInto('cqrs_outbox', INSERTED_COLUMNS, batch.map(toValues)),
    );
    const delayed = inserts(entries.filter(isDelayed)).map((batch) => {
      const rows = batch.map((one) => [...toValues(one), one.availableAt?.getTime() ?? 0]);
      return this.insertInto('cqrs_outbox_delayed', [...INSERTED_COLUMNS, 'available_at'], rows);
    });
    return [...atOnce, ...delayed];
  }

  private insertInto(
    table: string,
    columns: readonly string[],
    rows: readonly (readonly unknown[])[],
  ): CompiledQuery {
    return CompiledQuery.raw(insertOf(this.dialect, table, columns, rows.length), rows.flat());
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
