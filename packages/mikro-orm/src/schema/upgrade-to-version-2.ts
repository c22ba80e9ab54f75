import { mysqlKey } from './outbox-schema.js';
import { indexesOf, retryLines } from './outbox-tables.js';
import { DIALECT_TYPES, type SqlDialect } from './sql-dialect.js';
import type { UpgradeStep } from './upgrade-step.js';

/** From version 1 to 2, without the tables that are new. */
export function stepsToVersion2(dialect: SqlDialect): UpgradeStep[] {
  return [
    ...uniqueDeadLetters(),
    ...(dialect === 'mysql' ? mysqlSteps() : dialect === 'postgresql' ? postgresqlSteps() : sqliteSteps()),
  ];
}

/** Version 1 allowed several dead letters of one message, which only hands could make: the last one stays. */
function uniqueDeadLetters(): UpgradeStep[] {
  return [
    {
      sql:
        'delete from cqrs_outbox_dead_letter where id not in (select kept.id from ' +
        '(select max(id) as id from cqrs_outbox_dead_letter group by message_id, destination) kept)',
      adds: { table: 'cqrs_outbox_dead_letter', column: 'position' },
    },
  ];
}

/** One statement for each table, as each is atomic. */
function mysqlSteps(): UpgradeStep[] {
  const columns = addedColumns('mysql');
  const { bigint } = DIALECT_TYPES.mysql;
  const alter = (table: string, ...more: string[]): UpgradeStep => ({
    sql: `alter table ${table}\n  ${[...(columns[table] ?? []).map((column) => `add column ${column}`), ...more].join(',\n  ')}`,
    adds: { table, column: columns[table]?.[0]?.split(' ')[0] ?? '' },
  });
  const keys = (table: string, ...names: string[]): string[] =>
    indexesOf(table)
      .filter(({ name }) => names.length === 0 || names.includes(name))
      .map((index) => `add ${mysqlKey(index)}`);
  return [
    alter(
      'cqrs_outbox',
      ...keys('cqrs_outbox', 'cqrs_outbox_destination_slot'),
      'drop key cqrs_outbox_destination_id',
    ),
    alter('cqrs_outbox_retry', `modify column retry_at ${bigint} null`),
    alter('cqrs_outbox_dead_letter', ...keys('cqrs_outbox_dead_letter')),
    {
      sql: `alter table cqrs_inbox ${keys('cqrs_inbox').join(', ')}`,
      adds: { table: 'cqrs_inbox', index: 'cqrs_inbox_received_at' },
    },
  ];
}

function postgresqlSteps(): UpgradeStep[] {
  const alters = Object.entries(addedColumns('postgresql')).map(([table, columns]) => ({
    sql: `alter table ${table}\n  ${columns.map((column) => `add column if not exists ${column}`).join(',\n  ')}`,
  }));
  return [
    ...alters,
    { sql: 'alter table cqrs_outbox_retry alter column retry_at drop not null' },
    { sql: 'drop index if exists cqrs_outbox_destination_id' },
  ];
}

/** SQLite adds one column at a time, and can't change one: the table of retries is made anew. */
function sqliteSteps(): UpgradeStep[] {
  const { cqrs_outbox_retry: _, ...others } = addedColumns('sqlite');
  const added = Object.entries(others).flatMap(([table, columns]) =>
    columns.map((column) => ({
      sql: `alter table ${table} add column ${column}`,
      adds: { table, column: column.split(' ')[0] ?? '' },
    })),
  );
  const retries = [
    `create table cqrs_outbox_retry_2 (\n  ${retryLines('sqlite').join(',\n  ')}\n)`,
    'insert into cqrs_outbox_retry_2 (destination, message_key, entry_id, attempts, retry_at, last_error) ' +
      'select destination, message_key, entry_id, attempts, retry_at, last_error from cqrs_outbox_retry',
    'drop table cqrs_outbox_retry',
    'alter table cqrs_outbox_retry_2 rename to cqrs_outbox_retry',
  ].map((sql) => ({ sql, adds: { table: 'cqrs_outbox_retry', column: 'history' } }));
  return [...added, ...retries, { sql: 'drop index if exists cqrs_outbox_destination_id' }];
}

/** The columns that version 2 has added to tables of version 1. */
function addedColumns(dialect: SqlDialect): Record<string, string[]> {
  const { key, text, int, bigint } = DIALECT_TYPES[dialect];
  const policy = `dead_letter_policy ${key(16)} not null default 'continue'`;
  return {
    cqrs_outbox: [policy, `slot ${int} not null default 0`],
    cqrs_outbox_retry: [`last_stack ${text} null`, `history ${text} null`],
    cqrs_outbox_dead_letter: [
      policy,
      `position ${bigint} null`,
      `stack ${text} null`,
      `history ${text} null`,
    ],
  };
}
