import { MariaDbRows } from '../servers/mariadb-rows.ts';
import type { DatabaseAddress } from '../servers/outbox-database.ts';
import { PostgresRows } from '../servers/postgres-rows.ts';
import { INSERT, rowOf } from './insert-by-hand.ts';

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
  /** Undefined for libSQL, which has no server, and answers at once. */
  static open(address: DatabaseAddress, dbName: string, connections: number): BareTransactions | undefined {
    if (address.name === 'libsql') return undefined;
    const open = address.name === 'mariadb' ? mariaDbSessions : postgresSessions;
    return new BareTransactions(open(address.url, dbName, connections));
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
