import type { MikroOrmModuleSyncOptions } from '@mikro-orm/nestjs';
import type { OutboxRows } from './outbox-rows.ts';

/** libSQL is no server: a database of it is a file, or in memory. */
export const DATABASE_NAMES = ['mariadb', 'postgres', 'libsql'] as const;
export type DatabaseName = (typeof DATABASE_NAMES)[number];

/** Where a database is; the address of libSQL is empty. */
export interface DatabaseAddress {
  readonly name: DatabaseName;
  readonly url: string;
}

/** What is inserted: the columns of {@link COLUMNS}, in their order. */
export type InsertedRow = readonly (string | number | Buffer)[];

export const COLUMNS = [
  'message_id',
  'destination',
  'topic',
  'message_key',
  'name',
  'version',
  'source',
  'occurred_at',
  'correlation_id',
  'content_type',
  'headers',
  'payload',
  'slot',
] as const;

/** A database of a benchmark's own with the tables of the outbox, reached by the raw driver. */
export interface OutboxDatabase extends Pick<OutboxRows, 'select' | 'remove'> {
  /** For the application that is measured. */
  readonly ormOptions: Pick<MikroOrmModuleSyncOptions, 'driver' | 'clientUrl' | 'dbName'>;
  /** Inserts in one transaction, outside of any timing; the rows are there when the returned function resolves. */
  insert(rows: readonly InsertedRow[]): Promise<() => Promise<void>>;
  count(): Promise<number>;
  /** Deletes all rows, by a quicker way than one by one. */
  clear(): Promise<void>;
  /** Waits until what is deleted is out of the way, so that one run does not slow down the next. */
  settle(): Promise<void>;
  drop(): Promise<void>;
}

/** One of a server. */
export interface ServerDatabase extends OutboxDatabase {
  /** Adds rows to a table beside the outbox that the relay has nothing to do with, which has so many of them already. */
  fillBeside(
    table: 'cqrs_outbox_archive' | 'cqrs_outbox_dead_letter',
    before: number,
    after: number,
  ): Promise<void>;
  /** Opens a transaction that has seen the table, as a report or a forgotten session would. @returns its end */
  openTransaction(): Promise<() => Promise<void>>;
}

/** The columns of {@link ServerDatabase.fillBeside} that have no default, with SQL for each; `n` is the number of the row. */
export function besideColumns(
  table: 'cqrs_outbox_archive' | 'cqrs_outbox_dead_letter',
  text: (n: string) => string,
) {
  const common: Record<string, string> = {
    message_id: text("'beside-'"),
    destination: "'default'",
    topic: "'beside'",
    message_key: text("'key-'"),
    name: "'bench.happened'",
    version: '1',
    source: "'bench'",
    occurred_at: '0',
    correlation_id: text("'beside-'"),
    content_type: "'application/json'",
    headers: "'{}'",
    position: '-n',
  };
  return table === 'cqrs_outbox_archive'
    ? { ...common, published_at: String(Date.now()) }
    : { ...common, attempts: '1', last_error: "'refused'", failed_at: String(Date.now()) };
}

/** Rows and bytes of one INSERT at most: MariaDB takes packets of 16 MiB, and bytes are written out as text. */
const INSERT_ROWS = 1_000;
const INSERT_BYTES = 4 * 1024 ** 2;

/** Cuts rows into what one INSERT can hold. */
export function* inserts(rows: readonly InsertedRow[]): Generator<readonly InsertedRow[]> {
  let part: InsertedRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = row.reduce<number>((sum, value) => sum + (Buffer.isBuffer(value) ? value.length : 0), 0);
    if (part.length === INSERT_ROWS || (part.length > 0 && bytes + size > INSERT_BYTES)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(row);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
