import { sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';

/**
 * A derived table with one column `id`. As one parameter, whatever their number, it keeps the statement the same; as a
 * table to start a join from, it leads MySQL and SQLite to the rows by their key. For PostgreSQL see {@link isListed}.
 */
export function listedIds(dialect: SqlDialect, ids: readonly string[]): RawBuilder<unknown> {
  switch (dialect) {
    case 'mysql':
      return sql`json_table(${JSON.stringify(ids)}, '$[*]' columns (id bigint path '$'))`;
    case 'postgresql':
      return sql`(select cast(unnest(cast(${ids} as text[])) as bigint) as id)`;
    case 'sqlite':
      return sql`(select cast(value as integer) as id from json_each(${JSON.stringify(ids)}))`;
  }
}

/**
 * Whether a column is one of these ids: for a statement that joins {@link listedIds}, which PostgreSQL may answer by
 * reading the whole other table. The other databases have no choice.
 */
export function isListed(
  dialect: SqlDialect,
  column: RawBuilder<unknown>,
  ids: readonly string[],
): RawBuilder<boolean> {
  return dialect === 'postgresql'
    ? // Written as PostgreSQL reads an array: pg would look for what to escape in each.
      sql<boolean>`${column} = any(cast(${`{${ids.join()}}`} as bigint[]))`
    : sql<boolean>`true`;
}

/** Ids between commas, for a list: as many parameters would take longer to put in than the statement itself. */
export function idLiterals(ids: readonly string[]): RawBuilder<unknown> {
  // BigInt throws for what is no number.
  return sql.raw(ids.map((id) => BigInt(id).toString()).join(','));
}

/** Joins what is written first first: MySQL would lock all rows of a table that it takes to be small. */
export function joinInOrder(dialect: SqlDialect): RawBuilder<unknown> {
  return dialect === 'mysql' ? sql`straight_join` : sql`join`;
}

/** The end of an INSERT that leaves out rows which are there already. `insert ignore` would hide other faults too. */
export function ignoringConflicts(dialect: SqlDialect, table: string, column: string): RawBuilder<unknown> {
  if (dialect !== 'mysql') return sql`on conflict do nothing`;
  const name = sql.ref(`${table}.${column}`);
  return sql`on duplicate key update ${name} = ${name}`;
}

/** The end of an INSERT that overwrites the row with the same key. */
export function overwriting(
  dialect: SqlDialect,
  key: readonly string[],
  columns: readonly string[],
): RawBuilder<unknown> {
  const set = columns.map((column) => {
    const name = sql.ref(column);
    return dialect === 'mysql' ? sql`${name} = values(${name})` : sql`${name} = excluded.${name}`;
  });
  if (dialect === 'mysql') return sql`on duplicate key update ${sql.join(set)}`;
  return sql`on conflict (${sql.join(key.map((column) => sql.ref(column)))}) do update set ${sql.join(set)}`;
}

/** Columns, separated by commas: of a table, or those to insert. */
export function columnList(columns: readonly string[], table?: string): RawBuilder<unknown> {
  return sql.join(columns.map((column) => sql.ref(table === undefined ? column : `${table}.${column}`)));
}

/** A text, typed: PostgreSQL does not know what kind a bare parameter in a SELECT is. */
export function textOf(dialect: SqlDialect, text: string | null): RawBuilder<string> {
  return sql<string>`cast(${text} as ${sql.raw(dialect === 'mysql' ? 'char' : 'text')})`;
}

/**
 * Stands behind a table that is joined by its primary key. In a table with few rows MySQL rather reads all, and locks all:
 * the statement would wait for every transaction that has inserted one and is still open.
 */
export function byPrimaryKey(dialect: SqlDialect): RawBuilder<unknown> {
  return dialect === 'mysql' ? sql`force index (primary)` : sql``;
}

/** How many rows a statement has written. */
export function writtenRows(result: { readonly numAffectedRows?: bigint }): number {
  return Number(result.numAffectedRows ?? 0n);
}
