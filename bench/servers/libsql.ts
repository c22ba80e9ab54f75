import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outboxSchema } from '@cqrs-outbox/mikro-orm';
import { LibSqlDriver } from '@mikro-orm/libsql';
import Database from 'libsql';
import { COLUMNS, inserts, type InsertedRow, type OutboxDatabase } from './outbox-database.ts';
import type { RawRow } from './outbox-rows.ts';

/** Two connections share the file: that of the application waits while this one writes, and the other way round. */
const BUSY_TIMEOUT_MS = 10_000;

/** A file by libsql, which is also the driver under MikroORM; it has nothing to wait for, and answers at once. */
export class LibSqlOutbox implements OutboxDatabase {
  static async create(): Promise<LibSqlOutbox> {
    const directory = await mkdtemp(join(tmpdir(), 'bench-'));
    const path = join(directory, 'outbox.db');
    const connection = new Database(path, { timeout: BUSY_TIMEOUT_MS });
    // As for any file that several connections write; it stays with the file.
    connection.exec('pragma journal_mode = wal');
    for (const statement of outboxSchema('sqlite')) connection.exec(statement);
    return new LibSqlOutbox(directory, path, connection);
  }

  readonly ormOptions;
  readonly #directory: string;
  readonly #connection: Database.Database;

  private constructor(directory: string, path: string, connection: Database.Database) {
    this.ormOptions = { driver: LibSqlDriver, dbName: path };
    this.#directory = directory;
    this.#connection = connection;
  }

  async insert(rows: readonly InsertedRow[]): Promise<() => Promise<void>> {
    const row = `(${COLUMNS.map(() => '?').join()})`;
    this.#connection.exec('begin immediate');
    for (const chunk of inserts(rows)) {
      const values = chunk.map(() => row).join();
      this.#connection
        .prepare(`insert into cqrs_outbox (${COLUMNS.join(', ')}) values ${values}`)
        .run(...chunk.flat());
    }
    return async () => void this.#connection.exec('commit');
  }

  async select(after: string | number, limit: number): Promise<RawRow[]> {
    const statement = 'select * from cqrs_outbox where id > ? order by id limit ?';
    return this.#connection.prepare(statement).all(after, limit) as RawRow[];
  }

  async remove(ids: readonly (string | number)[]): Promise<void> {
    const statement = 'delete from cqrs_outbox where id in (select value from json_each(?))';
    this.#connection.prepare(statement).run(JSON.stringify(ids));
  }

  async count(): Promise<number> {
    const row = this.#connection.prepare('select count(*) as number from cqrs_outbox').get();
    return (row as { number: number }).number;
  }

  async clear(): Promise<void> {
    this.#connection.exec('delete from cqrs_outbox');
  }

  /** Deleted pages are used again. */
  async settle(): Promise<void> {
    return undefined;
  }

  async drop(): Promise<void> {
    this.#connection.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
