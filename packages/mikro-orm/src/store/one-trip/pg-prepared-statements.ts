import { createHash } from 'node:crypto';
import { Logger } from '@nestjs/common';

/** What each connection has prepared: the same for all copies of this package, whose names are the same. */
const PREPARED = Symbol.for('cqrs-outbox:prepared');

/** The part of a connection of `pg` that we use. This package does not import it: MikroORM's driver has it. */
export interface PgConnection {
  [PREPARED]?: Set<string>;
  readonly stream: { cork(): void; uncork(): void };
  parse(message: { readonly text: string; readonly name: string }): void;
  bind(message: { readonly statement: string; readonly values: readonly (string | Buffer | null)[] }): void;
  execute(message: object): void;
  /** Of a prepared statement; it need not be there. */
  close(message: { readonly type: 'S'; readonly name: string }): void;
  sync(): void;
  on(event: 'commandComplete', listener: (message: { readonly text: string }) => void): unknown;
}

interface PgPool {
  connect(): Promise<PgPoolClient>;
}

interface PgPoolClient {
  /** Of the server process, as whoever has accepted the connection has said; else null. */
  readonly processID: number | null;
  query(text: string): Promise<{ readonly rows: readonly { readonly pid: unknown }[] }>;
  release(): void;
}

/** There are a few texts, but for the number of rows of an INSERT. */
const MAX_STATEMENTS = 32;
/** About ten events. The server keeps of a statement many times its length, on each connection; to parse one is little beside many rows. */
const MAX_TEXT_LENGTH = 1_024;
/** What the server answers to a statement that drops those that were prepared. */
const IS_DROP = /^(DISCARD ALL|DEALLOCATE)/;
/** PostgreSQL's invalid_sql_statement_name. */
const UNKNOWN_STATEMENT = '26000';

const logger = new Logger('CqrsOutbox');

/**
 * Which statements are prepared, so that the server neither parses nor plans them again
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY). A name has its statement's hash in it: it
 * never stands for another one, whoever has prepared it.
 */
export class PgPreparedStatements {
  readonly #names = new Map<string, string>();
  #isOff = false;

  /**
   * Undefined where a pooler such as PgBouncer has accepted the connections, which has keys of its own: the next statement may come
   * to another server, which has prepared nothing.
   */
  static async find(pool: unknown): Promise<PgPreparedStatements | undefined> {
    if (!isPool(pool)) return undefined;
    try {
      return (await isServerBehind(pool)) ? new PgPreparedStatements() : undefined;
    } catch (error) {
      logger.debug(`Statements are not prepared, since PostgreSQL was not to be asked: ${String(error)}`);
      return undefined;
    }
  }

  /** Empty, as those are called that the server does not keep, when it is not worth one. */
  nameOf(text: string): string {
    if (this.#isOff) return '';
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_STATEMENTS || text.length > MAX_TEXT_LENGTH) return '';
    const name = `cqrs_outbox_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
    this.#names.set(text, name);
    return name;
  }

  /**
   * Prepares none any more when the server does not know what its connection has prepared: what looks like a connection leads then to
   * one server and another, or a function has dropped them, of which nothing is heard.
   */
  noteFailure(error: unknown): void {
    if (this.#isOff || (error as { readonly code?: unknown }).code !== UNKNOWN_STATEMENT) return;
    this.#isOff = true;
    logger.warn(`Statements are not prepared any more, since PostgreSQL has lost one: ${String(error)}`);
  }
}

/** The names of what a connection has prepared, until somebody drops them. */
export function preparedOn(connection: PgConnection): Set<string> {
  const known = connection[PREPARED];
  if (known) return known;
  const names = new Set<string>();
  connection[PREPARED] = names;
  connection.on('commandComplete', ({ text }) => {
    if (IS_DROP.test(text)) names.clear();
  });
  return names;
}

async function isServerBehind(pool: PgPool): Promise<boolean> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query('select pg_backend_pid() as pid');
    return Number(rows[0]?.pid) === client.processID;
  } finally {
    client.release();
  }
}

function isPool(pool: unknown): pool is PgPool {
  return typeof pool === 'object' && pool !== null && 'connect' in pool && typeof pool.connect === 'function';
}
