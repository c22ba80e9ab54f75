import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { outboxSchema } from '@cqrs-outbox/mikro-orm';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { MariaDbRows } from './mariadb-rows.ts';
import { besideColumns, COLUMNS, inserts, type InsertedRow, type ServerDatabase } from './outbox-database.ts';
import type { RawRow } from './outbox-rows.ts';

/** Undo records that other sessions may always keep alive, and how long to wait for the rest to be purged. */
const SETTLED_HISTORY = 500;
const SETTLE_LIMIT_MS = 10_000;

/** MariaDB by mysql2, which is also the driver under MikroORM. */
export class MariaDbOutbox implements ServerDatabase {
  static async create(url: string): Promise<MariaDbOutbox> {
    const dbName = `bench_${randomBytes(6).toString('hex')}`;
    const connection = await createConnection(url);
    await connection.query(`create database ${dbName} character set utf8mb4`);
    await connection.end();
    const rows = new MariaDbRows(url, dbName);
    for (const statement of outboxSchema('mysql')) await rows.pool.query(statement);
    return new MariaDbOutbox(url, dbName, rows);
  }

  readonly ormOptions;
  readonly #url: string;
  readonly #dbName: string;
  readonly #rows: MariaDbRows;
  readonly #pool: MariaDbRows['pool'];

  private constructor(clientUrl: string, dbName: string, rows: MariaDbRows) {
    this.ormOptions = { driver: MariaDbDriver, clientUrl, dbName };
    this.#url = clientUrl;
    this.#dbName = dbName;
    this.#rows = rows;
    this.#pool = rows.pool;
  }

  async insert(rows: readonly InsertedRow[]): Promise<() => Promise<void>> {
    const connection = await this.#pool.getConnection();
    await connection.beginTransaction();
    for (const chunk of inserts(rows)) {
      await connection.query(`insert into cqrs_outbox (${COLUMNS.join(', ')}) values ?`, [chunk]);
    }
    return async () => {
      await connection.commit();
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
    const columns = besideColumns(table, (prefix) => `concat(${prefix}, n)`);
    const portion = 50_000;
    for (let done = before; done < after; done += portion) {
      await this.#pool.query(
        `insert into ${table} (${Object.keys(columns).join()})
         select ${Object.values(columns).join()}
         from (select seq + ? as n from seq_1_to_${Math.min(portion, after - done)}) numbers`,
        [done],
      );
    }
  }

  async openTransaction(): Promise<() => Promise<void>> {
    const connection = await createConnection({ uri: this.#url, database: this.#dbName });
    await connection.query('start transaction with consistent snapshot');
    await connection.query('select count(*) from cqrs_outbox');
    return () => connection.end();
  }

  count(): Promise<number> {
    return this.number('select count(*) as number from cqrs_outbox');
  }

  async clear(): Promise<void> {
    await this.#pool.query('truncate table cqrs_outbox');
  }

  async settle(): Promise<void> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    const history = `select count as number from information_schema.innodb_metrics where name = 'trx_rseg_history_len'`;
    while ((await this.number(history)) > SETTLED_HISTORY && performance.now() < deadline) await sleep(50);
  }

  async drop(): Promise<void> {
    await this.#pool.query(`drop database ${this.#dbName}`);
    await this.#rows.close();
  }

  private async number(query: string): Promise<number> {
    const [[row]] = await this.#pool.query<({ number: number } & RowDataPacket)[]>(query);
    return row!.number;
  }
}
