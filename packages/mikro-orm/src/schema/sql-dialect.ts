/** The databases that have a schema here. MariaDB has MySQL's. */
export type SqlDialect = 'mysql' | 'postgresql' | 'sqlite';

/** How the dialects call what they have in common. */
export interface DialectTypes {
  readonly id: string;
  readonly key: (length: number) => string;
  readonly text: string;
  readonly blob: string;
  readonly smallint: string;
  readonly int: string;
  readonly bigint: string;
  readonly tableOptions: string;
}

export const DIALECT_TYPES: Readonly<Record<SqlDialect, DialectTypes>> = {
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
