import type { SqlDialect } from '@cqrs-outbox/mikro-orm';

/** How the dialects call what they have in common. */
interface DialectTypes {
  readonly id: string;
  readonly key: (length: number) => string;
  readonly text: string;
  readonly blob: string;
  readonly smallint: string;
  readonly int: string;
  readonly bigint: string;
  readonly tableOptions: string;
}

export const TYPES: Record<SqlDialect, DialectTypes> = {
  mysql: {
    id: 'bigint unsigned not null auto_increment primary key',
    key: (length) => `varchar(${length}) character set utf8mb4 collate utf8mb4_bin`,
    text: 'longtext character set utf8mb4 collate utf8mb4_bin',
    blob: 'longblob',
    smallint: 'smallint',
    int: 'int',
    bigint: 'bigint',
    tableOptions: ' engine = InnoDB default character set utf8mb4 collate utf8mb4_bin',
  },
  postgresql: {
    id: 'bigserial primary key',
    key: (length) => `varchar(${length})`,
    text: 'text',
    blob: 'bytea',
    smallint: 'smallint',
    int: 'int',
    bigint: 'bigint',
    tableOptions: '',
  },
  sqlite: {
    // Without `autoincrement` SQLite gives the ids of deleted rows again, and a position would not be unique.
    id: 'integer not null primary key autoincrement',
    key: () => 'text',
    text: 'text',
    blob: 'blob',
    smallint: 'integer',
    int: 'integer',
    bigint: 'bigint',
    tableOptions: '',
  },
};

/** Frozen: the statements of version 1, as it was released. */
export function outboxSchemaVersion1(dialect: SqlDialect): string[] {
  const { id, key, text, blob, smallint, int, bigint, tableOptions } = TYPES[dialect];
  const entry = [
    `message_id ${key(64)} not null`,
    `destination ${key(64)} not null`,
    `topic ${key(191)} not null`,
    `message_key ${key(191)} not null`,
    `name ${key(191)} not null`,
    `version ${smallint} not null`,
    `source ${key(191)} not null`,
    `occurred_at ${bigint} not null`,
    `correlation_id ${key(64)} not null`,
    `causation_id ${key(64)} null`,
    `content_type ${key(100)} not null`,
    `headers ${text} not null`,
    `payload ${blob} null`,
  ];
  const table = (name: string, ...columns: string[]): string =>
    `create table if not exists ${name} (\n  ${columns.join(',\n  ')}\n)${tableOptions}`;
  const outboxIndexes = [
    { name: 'cqrs_outbox_message_destination', columns: 'message_id, destination', isUnique: true },
    { name: 'cqrs_outbox_destination_id', columns: 'destination, id', isUnique: false },
  ];
  // MySQL alone has no `create index if not exists`, and it alone takes indexes inside of `create table`.
  const isInline = dialect === 'mysql';
  const inlineIndexes = outboxIndexes.map(
    ({ name, columns, isUnique }) => `${isUnique ? 'unique ' : ''}key ${name} (${columns})`,
  );
  const indexStatements = outboxIndexes.map(
    ({ name, columns, isUnique }) =>
      `create ${isUnique ? 'unique ' : ''}index if not exists ${name} on cqrs_outbox (${columns})`,
  );
  return [
    table('cqrs_outbox', `id ${id}`, ...entry, ...(isInline ? inlineIndexes : [])),
    ...(isInline ? [] : indexStatements),
    table(
      'cqrs_outbox_retry',
      `destination ${key(64)} not null`,
      `message_key ${key(191)} not null`,
      `entry_id ${bigint} not null`,
      `attempts ${int} not null`,
      `retry_at ${bigint} not null`,
      `last_error ${text} not null`,
      'primary key (destination, message_key)',
    ),
    table(
      'cqrs_outbox_dead_letter',
      `id ${id}`,
      ...entry,
      `attempts ${int} not null`,
      `last_error ${text} not null`,
      `failed_at ${bigint} not null`,
    ),
    table(
      'cqrs_inbox',
      `message_id ${key(64)} not null`,
      `handler ${key(191)} not null`,
      `received_at ${bigint} not null`,
      'primary key (message_id, handler)',
    ),
    table(
      'cqrs_inbox_dead_letter',
      `id ${id}`,
      `message_id ${key(191)} null`,
      `name ${key(191)} null`,
      `coordinates ${text} not null`,
      `reason ${text} not null`,
      `headers ${text} not null`,
      `payload ${blob} null`,
      `rejected_at ${bigint} not null`,
    ),
    table('cqrs_outbox_schema', `version ${int} not null primary key`),
    `insert into cqrs_outbox_schema (version) select 1 ` +
      `${dialect === 'mysql' ? 'from dual ' : ''}where not exists (select 1 from cqrs_outbox_schema)`,
  ];
}
