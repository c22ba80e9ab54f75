import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { outboxSchema } from '@cqrs-outbox/mikro-orm';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { createConnection, createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import {
  besideColumns,
  chunks,
  COLUMNS,
  INSERT_SIZE,
  type InsertedRow,
  type RawRow,
  type ServerDatabase,
} from './outbox-database.ts';

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
    // Two connections: the next batch is read while the one before it is deleted.
    const pool = createPool({ uri: url, database: dbName, connectionLimit: 2 });
    for (const statement of outboxSchema('mysql')) await pool.query(statement);
    return new MariaDbOutbox(url, dbName, pool);
  }

  readonly ormOptions;
  readonly #url: string;
  readonly #dbName: string;
  readonly #pool: Pool;

  private constructor(clientUrl: string, dbName: string, pool: Pool) {
    this.ormOptions = { driver: MariaDbDriver, clientUrl, dbName };
    this.#url = clientUrl;
    this.#dbName = dbName;
    this.#pool = pool;
  }

  async insert(rows: readonly InsertedRow[]): Promise<() => Promise<void>> {
    const connection = await this.#pool.getConnection();
    await connection.beginTransaction();
    for (const chunk of chunks(rows, INSERT_SIZE)) {
      await connection.query(`insert into cqrs_outbox (${COLUMNS.join(', ')}) values ?`, [chunk]);
    }
    return async () => {
      await connection.commit();
      connection.release();
    };
  }

  async select(after: string | number, limit: number): Promise<RawRow[]> {
    const statement = 'select * from cqrs_outbox where id > ? order by id limit ?';
    const [rows] = await this.#pool.query<(RawRow & RowDataPacket)[]>(statement, [after, limit]);
    return rows;
  }

  async remove(ids: readonly (string | number)[]): Promise<void> {
    await this.#pool.query('delete from cqrs_outbox where id in (?)', [ids]);
  }

  async fillBeside(table: Parameters<typeof besideColumns>[0], rows: number): Promise<void> {
    const columns = besideColumns(table, (prefix) => `concat(${prefix}, n)`);
    const portion = 50_000;
    for (let done = 0; done < rows; done += portion) {
      await this.#pool.query(
        `insert into ${table} (${Object.keys(columns).join()})
         select ${Object.values(columns).join()}
         from (select seq + ? as n from seq_1_to_${Math.min(portion, rows - done)}) numbers`,
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
    await this.#pool.end();
  }

  private async number(query: string): Promise<number> {
    const [[row]] = await this.#pool.query<({ number: number } & RowDataPacket)[]>(query);
    return row!.number;
  }
}
