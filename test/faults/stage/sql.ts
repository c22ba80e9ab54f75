import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { within } from '../../services/wait.ts';

const LIMIT_MS = 30_000;

/** A connection straight to the server, past all proxies. Placeholders are written `?`. */
export interface Sql {
  query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

/** @param url with the name of the database */
export async function openSql(url: string): Promise<Sql> {
  return url.startsWith('mysql:') ? openMariaDb(url) : openPostgres(url);
}

/** Does something on a connection of its own: one that is kept would not survive a restart of the server. */
export async function withSql<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = await openSql(url);
  try {
    return await within(LIMIT_MS, 'the database', work(sql));
  } finally {
    await sql.close();
  }
}

async function openMariaDb(url: string): Promise<Sql> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  connection.on('error', () => undefined);
  return {
    query: async <R extends object>(text: string, values: readonly unknown[] = []) => {
      const [rows] = await connection.query(text, [...values]);
      return rows as R[];
    },
    close: async () => connection.destroy(),
  };
}

async function openPostgres(url: string): Promise<Sql> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  return {
    query: async <R extends object>(text: string, values: readonly unknown[] = []) => {
      let number = 0;
      const { rows } = await client.query(
        text.replace(/\?/g, () => `$${++number}`),
        [...values],
      );
      return rows as R[];
    },
    close: () => client.end().catch(() => undefined),
  };
}
