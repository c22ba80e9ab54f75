import { outboxTables, type IndexDefinition, type TableDefinition } from './outbox-tables.js';
import { KEY_LOCK_BUCKETS, SCHEMA_VERSION } from './schema-version.js';
import { DIALECT_TYPES, type SqlDialect } from './sql-dialect.js';

export type { SqlDialect } from './sql-dialect.js';

/**
 * The statements that create the tables of outbox and inbox, for a migration of yours. They leave existing tables
 * alone, and record the version that the boot check compares. Tables of an older version are not changed by them: see
 * {@link upgradeOutboxSchema}.
 *
 * @example
 * class CreateOutbox extends Migration {
 *   up() { for (const sql of outboxSchema('mysql')) this.addSql(sql); }
 * }
 */
export function outboxSchema(dialect: SqlDialect): string[] {
  return [
    ...outboxTables(dialect).flatMap((table) => createTable(dialect, table)),
    createTableOnly(dialect, 'cqrs_outbox_schema', [
      `version ${DIALECT_TYPES[dialect].int} not null primary key`,
    ]),
    seedKeyLocks(dialect),
    `insert into cqrs_outbox_schema (version) select ${SCHEMA_VERSION} ` +
      `${dialect === 'mysql' ? 'from dual ' : ''}where not exists (select 1 from cqrs_outbox_schema)`,
  ];
}

/** The statements that drop the tables, with everything in them. */
export function dropOutboxSchema(): string[] {
  return [
    'cqrs_outbox_schema',
    ...outboxTables('sqlite')
      .map(({ name }) => name)
      .reverse(),
  ].map((table) => `drop table if exists ${table}`);
}

function createTable(dialect: SqlDialect, { name, lines, indexes }: TableDefinition): string[] {
  // MySQL alone has no `create index if not exists`, and it alone takes indexes inside of `create table`.
  if (dialect === 'mysql')
    return [createTableOnly(dialect, name, [...lines, ...indexes.map((index) => mysqlKey(index))])];
  return [createTableOnly(dialect, name, lines), ...indexes.map((index) => createIndex(name, index))];
}

function createTableOnly(dialect: SqlDialect, name: string, lines: readonly string[]): string {
  return `create table if not exists ${name} (\n  ${lines.join(',\n  ')}\n)${DIALECT_TYPES[dialect].tableOptions}`;
}

/** An index, as `create table` and `alter table add` take it in MySQL. */
export function mysqlKey({ name, columns, isUnique = false }: IndexDefinition): string {
  return `${isUnique ? 'unique ' : ''}key ${name} (${columns})`;
}

function createIndex(table: string, { name, columns, isUnique = false }: IndexDefinition): string {
  return `create ${isUnique ? 'unique ' : ''}index if not exists ${name} on ${table} (${columns})`;
}

/** Fills in the rows of `cqrs_outbox_key_lock` that are missing. */
export function seedKeyLocks(dialect: SqlDialect): string {
  const digits = Array.from({ length: Math.sqrt(KEY_LOCK_BUCKETS) }, (_, digit) => `select ${digit} as n`);
  const numbers = `(${digits.join(' union all ')})`;
  return (
    `insert ${dialect === 'mysql' ? 'ignore ' : ''}into cqrs_outbox_key_lock (bucket) ` +
    `select a.n * ${digits.length} + b.n from ${numbers} a cross join ${numbers} b where true` +
    (dialect === 'mysql' ? '' : ' on conflict do nothing')
  );
}
