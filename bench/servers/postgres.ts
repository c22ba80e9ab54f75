import { randomBytes } from 'node:crypto';
import { outboxSchema } from '@cqrs-outbox/mikro-orm';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import pg from 'pg';
import { besideColumns, COLUMNS, inserts, type InsertedRow, type ServerDatabase } from './outbox-database.ts';
import type { RawRow } from './outbox-rows.ts';
import { PostgresRows } from './postgres-rows.ts';

/** PostgreSQL by pg, which is also the driver under MikroORM. */
export class PostgresOutbox implements ServerDatabase {
  static async create(url: string): Promise<PostgresOutbox> {
    const dbName = `bench_${randomBytes(6).toString('hex')}`;
    await runOnce(url, `create database ${dbName}`);
    const rows = new PostgresRows(url, dbName);
    for (const statement of outboxSchema('postgresql')) await rows.pool.query(statement);
    return new PostgresOutbox(url, dbName, rows);
  }

  readonly ormOptions;
  readonly #url: string;
  readonly #dbName: string;
  readonly #rows: PostgresRows;
  readonly #pool: pg.Pool;

  private constructor(url: string, dbName: string, rows: PostgresRows) {
    this.ormOptions = { driver: PostgreSqlDriver, clientUrl: url, dbName };
    this.#url = url;
    this.#dbName = dbName;
    this.#rows = rows;
    this.#pool = rows.pool;
  }

  async insert(rows: readonly InsertedRow[]): Promise<() => Promise<void>> {
    const connection = await this.#pool.connect();
    await connection.query('begin');
    for (const chunk of inserts(rows)) {
      const values = chunk.map(
        (_, row) => `(${COLUMNS.map((_, i) => `$${row * COLUMNS.length + i + 1}`).join()})`,
      );
      const statement = `insert into cqrs_outbox (${COLUMNS.join(', ')}) values ${values.join()}`;
      await connection.query(statement, chunk.flat());
    }
    return async () => {
      await connection.query('commit');
      connection.release();
    };
  }

  select(after: string | number, limit: number): Promise<RawRow[]> {
    return this.#rows.select(after, limit);
  }

  remove(ids: readonly (string | number)[]): Promise<void> {
    return this.#rows.remove(ids);
  }

  async fillBeside(table: Parameters<typeof besideColumns>[0], before: number, after: number): Promise<void> {
    const columns = besideColumns(table, (prefix) => `${prefix} || n`);
    await this.#pool.query(
      `insert into ${table} (${Object.keys(columns).join()})
       select ${Object.values(columns).join()} from generate_series(${before + 1}, ${after}) n`,
    );
    await this.#pool.query(`vacuum analyze ${table}`);
  }

  async openTransaction(): Promise<() => Promise<void>> {
    const client = new pg.Client(this.#pool.options);
    await client.connect();
    await client.query('begin isolation level repeatable read');
    await client.query('select count(*) from cqrs_outbox');
    return () => client.end();
  }

  async count(): Promise<number> {
    const { rows } = await this.#pool.query<{ number: number }>(
      'select count(*)::int as number from cqrs_outbox',
    );
    return rows[0]!.number;
  }

  async clear(): Promise<void> {
    await this.#pool.query('truncate table cqrs_outbox');
  }

  async settle(): Promise<void> {
    await this.#pool.query('vacuum analyze cqrs_outbox');
  }

  async drop(): Promise<void> {
    await this.#rows.close();
    // Without force: an ended pool's sockets may close a moment later, and PostgreSQL waits for them by itself.
    await runOnce(this.#url, `drop database ${this.#dbName}`);
  }
}

async function runOnce(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
