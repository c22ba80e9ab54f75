import Database from 'libsql';
import { MariaDbRows } from '../servers/mariadb-rows.ts';
import type { DatabaseAddress } from '../servers/outbox-database.ts';
import { PostgresRows } from '../servers/postgres-rows.ts';
import { INSERT, rowOf } from './insert-by-hand.ts';

/** The application's connection has the same file. */
const BUSY_TIMEOUT_MS = 10_000;

/** A connection of a pool. */
interface Session {
  query(statement: string, values?: unknown[]): Promise<unknown>;
  release(): void;
}

/** Of one driver, with nothing above it. */
interface Sessions {
  /** The INSERT as the driver takes it. */
  readonly insert: string;
  connect(): Promise<Session>;
  close(): Promise<void>;
}

/** The statements of a command by the driver alone: shows what one INSERT more costs where nothing else is done. */
export class BareTransactions {
  static open({ name, url }: DatabaseAddress, dbName: string, connections: number): BareTransactions {
    switch (name) {
      case 'mariadb':
        return new BareTransactions(mariaDbSessions(url, dbName, connections));
      case 'postgres':
        return new BareTransactions(postgresSessions(url, dbName, connections));
      case 'libsql':
        return new BareTransactions(libSqlSessions(dbName));
    }
  }

  readonly #sessions: Sessions;

  private constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  async run(shelfId: number, hasEvent: boolean): Promise<void> {
    const session = await this.#sessions.connect();
    await session.query('begin');
    await session.query(`select * from bench_shelf where id = ${shelfId}`);
    await session.query(`update bench_shelf set books = books + 1 where id = ${shelfId}`);
    if (hasEvent) await session.query(this.#sessions.insert, rowOf(shelfId));
    await session.query('commit');
    session.release();
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}

function mariaDbSessions(url: string, database: string, connections: number): Sessions {
  const { pool } = new MariaDbRows(url, database, connections);
  return { insert: INSERT, connect: () => pool.getConnection(), close: () => pool.end() };
}

function postgresSessions(url: string, database: string, connections: number): Sessions {
  const { pool } = new PostgresRows(url, database, connections);
  let places = 0;
  const insert = INSERT.replaceAll('?', () => `$${++places}`);
  return { insert, connect: () => pool.connect(), close: () => pool.end() };
}

/** One, as MikroORM has: SQLite has one writer at a time. The INSERT stays prepared, as with the outbox. */
function libSqlSessions(path: string): Sessions {
  const connection = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  const insert = connection.prepare(INSERT);
  let free = Promise.resolve(undefined);
  return {
    insert: INSERT,
    connect: async () => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const before = free;
      free = promise;
      await before;
      const query = async (sql: string, values: unknown[] = []): Promise<unknown> => {
        if (sql === INSERT) return insert.run(values);
        const statement = connection.prepare(sql);
        return statement.reader ? statement.all(values) : statement.run(values);
      };
      return { query, release: () => resolve(undefined) };
    },
    close: async () => void connection.close(),
  };
}
