import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise';
import { MariaDbOutbox } from '../servers/mariadb.ts';
import { HANDLER, UPDATE, type AccountDatabase, type Credit, type Outcome } from './account-database.ts';
import { accountOf, TOPIC_KEYS } from './credited.ts';

const NOW = `timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000`;
const RECORD = `insert into cqrs_inbox (message_id, handler, received_at) values (?, ?, ${NOW})`;

/** Accounts in MariaDB by mysql2, which is also the driver under MikroORM. */
export class MariaDbAccounts implements AccountDatabase {
  static async create(url: string, connections: number): Promise<MariaDbAccounts> {
    const outbox = await MariaDbOutbox.create(url);
    const { dbName } = outbox.ormOptions;
    const pool = createPool({ uri: url, database: dbName, connectionLimit: connections });
    await pool.query('create table bench_account (id varchar(40) primary key, total bigint not null)');
    return new MariaDbAccounts(outbox, pool);
  }

  readonly now = NOW;
  readonly #outbox: MariaDbOutbox;
  readonly #pool: Pool;

  private constructor(outbox: MariaDbOutbox, pool: Pool) {
    this.#outbox = outbox;
    this.#pool = pool;
  }

  get ormOptions() {
    return this.#outbox.ormOptions;
  }

  async credit(credits: readonly Credit[]): Promise<void> {
    const connection = await this.#pool.getConnection();
    try {
      await connection.query('begin');
      for (const { messageId, account, amount } of credits) {
        await connection.query(RECORD, [messageId, HANDLER]);
        await connection.query(UPDATE, [amount, account]);
      }
      await connection.query('commit');
    } finally {
      connection.release();
    }
  }

  async outcome(): Promise<Outcome> {
    const [[row]] = await this.#pool.query<(Record<keyof Outcome, number | string> & RowDataPacket)[]>(
      `select (select count(*) from cqrs_inbox) as inboxRows, (select sum(total) from bench_account) as total`,
    );
    return { inboxRows: Number(row!.inboxRows), total: Number(row!.total) };
  }

  async reset(): Promise<void> {
    await this.#pool.query('truncate table cqrs_inbox');
    await this.#pool.query('truncate table bench_account');
    const rows = Array.from({ length: TOPIC_KEYS }, (_, index) => [accountOf(index), 0]);
    await this.#pool.query('insert into bench_account (id, total) values ?', [rows]);
    await this.#outbox.settle();
  }

  async drop(): Promise<void> {
    await this.#pool.end();
    await this.#outbox.drop();
  }
}
