import { createOutboxSchema } from '@cqrs-outbox/mikro-orm';
import { MikroORM as MariaDb } from '@mikro-orm/mariadb';
import { MikroORM as PostgreSql } from '@mikro-orm/postgresql';
import { counterSchema, happeningSchema } from '../processes/domain.ts';
import type { PairName } from '../plan/fault.ts';
import type { Fate } from '../history/records.ts';
import { withSql } from './sql.ts';

const DB_NAME = 'faults';

/** The run's database, seen from outside of all processes. */
export class FaultsDatabase {
  readonly dbName = DB_NAME;
  /** With the name of the database. */
  readonly url: string;
  readonly #pair: PairName;
  readonly #serverUrl: string;

  constructor(pair: PairName, serverUrl: string) {
    this.#pair = pair;
    this.#serverUrl = serverUrl;
    const url = new URL(serverUrl);
    url.pathname = `/${DB_NAME}`;
    this.url = url.href;
  }

  /** The same server by another port, without the name of the database. */
  urlAt(port: number): string {
    const url = new URL(this.#serverUrl);
    url.port = String(port);
    return url.href;
  }

  async create(keys: readonly string[]): Promise<void> {
    const Orm = this.#pair === 'mariadb-kafka' ? MariaDb : PostgreSql;
    const orm = await Orm.init({
      clientUrl: this.#serverUrl,
      dbName: DB_NAME,
      entities: [counterSchema, happeningSchema],
    });
    try {
      await orm.schema.ensureDatabase();
      await createOutboxSchema(orm);
      await orm.schema.update({ safe: true });
      for (const key of keys) await orm.em.fork().insert(counterSchema, { key, value: 0 });
    } finally {
      await orm.close();
    }
  }

  /** How many entries wait, those included that wait for their time. */
  async pending(): Promise<number> {
    return withSql(this.url, async (sql) => {
      const [row] = await sql.query<{ total: number | string }>('select count(*) as total from cqrs_outbox');
      return Number(row!.total);
    });
  }

  /** How many deadlocks the server has seen since it was started. */
  async deadlocks(): Promise<number> {
    const text =
      this.#pair === 'mariadb-kafka'
        ? `select variable_value as total from information_schema.global_status where variable_name = 'INNODB_DEADLOCKS'`
        : 'select sum(deadlocks) as total from pg_stat_database';
    return withSql(this.url, async (sql) => {
      const [row] = await sql.query<{ total: number | string }>(text);
      return Number(row?.total ?? 0);
    });
  }

  /** What was committed. */
  truth(): Promise<{ token: string; key: string; seq: number; fate: Fate }[]> {
    return withSql(this.url, (sql) => sql.query('select token, k as "key", seq, fate from fault_event'));
  }

  /** The tokens of the events that were given up. */
  async deadLetters(): Promise<string[]> {
    return withSql(this.url, async (sql) => {
      const rows = await sql.query<{ payload: Buffer }>('select payload from cqrs_outbox_dead_letter');
      return rows.map(({ payload }) => (JSON.parse(payload.toString()) as { token: string }).token);
    });
  }
}
