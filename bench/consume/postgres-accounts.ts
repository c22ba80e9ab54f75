import pg from 'pg';
import { PostgresOutbox } from '../servers/postgres.ts';
import { HANDLER, type AccountDatabase, type Credit, type Outcome } from './account-database.ts';
import { accountOf, TOPIC_KEYS } from './credited.ts';

const NOW = `cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;
const RECORD = `insert into cqrs_inbox (message_id, handler, received_at) values ($1, $2, ${NOW})`;
const UPDATE = 'update bench_account set total = total + $1 where id = $2';

/** Accounts in PostgreSQL by pg, which is also the driver under MikroORM. */
export class PostgresAccounts implements AccountDatabase {
  static async create(url: string, connections: number): Promise<PostgresAccounts> {
    const outbox = await PostgresOutbox.create(url);
    const address = new URL(url);
    address.pathname = `/${outbox.ormOptions.dbName}`;
    const pool = new pg.Pool({ connectionString: address.href, max: connections });
    // Dropping the database may end a connection that the pool is about to close.
    pool.on('error', () => undefined);
    await pool.query('create table bench_account (id varchar(40) primary key, total bigint not null)');
    return new PostgresAccounts(outbox, pool);
  }

  readonly now = NOW;
  readonly #outbox: PostgresOutbox;
  readonly #pool: pg.Pool;

  private constructor(outbox: PostgresOutbox, pool: pg.Pool) {
    this.#outbox = outbox;
    this.#pool = pool;
  }

  get ormOptions() {
    return this.#outbox.ormOptions;
  }

  async credit(credits: readonly Credit[]): Promise<void> {
    const client = await this.#pool.connect();
    try {
      await client.query('begin');
      for (const { messageId, account, amount } of credits) {
        await client.query(RECORD, [messageId, HANDLER]);
        await client.query(UPDATE, [amount, account]);
      }
      await client.query('commit');
    } finally {
      client.release();
    }
  }

  async outcome(): Promise<Outcome> {
    const { rows } = await this.#pool.query<Record<'inbox' | 'total', string>>(
      `select (select count(*) from cqrs_inbox) as inbox, (select sum(total) from bench_account) as total`,
    );
    return { inboxRows: Number(rows[0]!.inbox), total: Number(rows[0]!.total) };
  }

  async reset(): Promise<void> {
    await this.#pool.query('truncate table cqrs_inbox, bench_account');
    const ids = Array.from({ length: TOPIC_KEYS }, (_, index) => accountOf(index));
    await this.#pool.query('insert into bench_account select unnest($1::text[]), 0', [ids]);
    await this.#pool.query('vacuum analyze cqrs_inbox');
    await this.#pool.query('vacuum analyze bench_account');
  }

  async drop(): Promise<void> {
    await this.#pool.end();
    await this.#outbox.drop();
  }
}
