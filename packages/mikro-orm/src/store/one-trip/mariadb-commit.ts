import { Logger } from '@nestjs/common';
import { CompiledQuery } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import type { InsertAndCommit, SendingConnection } from './insert-and-commit.js';

/** The part of a connection of `mysql2` that we use. This package does not import it: MikroORM's driver has it. */
interface MySqlConnection {
  /** That of the next packet; each statement begins anew. */
  sequenceId: number;
  readonly stream: { cork(): void; uncork(): void };
  format(sql: string, values: readonly unknown[]): string;
}

/** What `mysql2` has in its queue. It sends what it has to say when it gets no packet, and returns true with its last one. */
interface MySqlCommand {
  execute(packet: object | undefined, connection: MySqlConnection): boolean;
}

type Callback = (error: Error | null | undefined) => void;
type QueryCommand = new (options: { readonly sql: string }, callback: Callback) => MySqlCommand;

interface MySqlPool {
  readonly config: { readonly connectionConfig: { readonly compress?: boolean } };
  query(sql: string, callback: Callback): object;
}

/** What is tried. */
const NOTHING = CompiledQuery.raw('do 0');

/** That of the answer to a statement of one packet. */
const SEQUENCE_ID_OF_ANSWER = 1;
/**
 * Behind a longer one COMMIT waits for its answer: it gains nothing, and a server that refuses the packet for its length closes the
 * connection, so that its error is lost when there is more to read.
 */
const MAX_TEXT_LENGTH = 64 * 1024;

const logger = new Logger('CqrsOutbox');

/**
 * MariaDB's INSERT and COMMIT in one round trip: two statements, of which the second is sent before the first is answered, as
 * MariaDB's own connectors do (https://mariadb.com/kb/en/pipelining/). It only commits when the one before it has written rows. It is
 * no compound statement: that may fail for a KILL, or `max_statement_time`, behind a COMMIT that has succeeded.
 *
 * @param pool what `client` works with, if it is one of `mysql2`
 */
export async function findMariaDbCommit(
  client: OutboxKysely,
  pool: unknown,
): Promise<InsertAndCommit | undefined> {
  // What is compressed is written later, and not in order.
  if (!isPool(pool) || pool.config.connectionConfig.compress) return undefined;
  try {
    const Query = await queryCommandOf(pool);
    const probe = (connection: SendingConnection) => send(connection, new PipelinedCommit(Query, NOTHING, 0));
    await client.getExecutor().provideConnection(probe);
    return (connection, insert) => send(connection, new PipelinedCommit(Query, insert, 1));
  } catch (error) {
    logger.debug(`COMMIT takes a round trip of its own: ${String(error)}`);
    return undefined;
  }
}

/** As a command of `mysql2`: `connection.query()` takes one in place of a text, and Kysely hands on what it takes for one. */
class PipelinedCommit {
  /** For those who look at what is sent. */
  sql: string;
  /** `mysql2` would put them into the text. */
  readonly values: readonly unknown[] = [];
  readonly settled: Promise<undefined>;
  /** Also for a connection that is lost. What traces `mysql2` puts one in its place. */
  onResult: Callback;

  readonly #commit: string;
  /** Those that were sent, and how many of them have been answered. */
  readonly #sent: MySqlCommand[] = [];
  #answered = 0;
  #error: Error | undefined;

  /** @param minRows so many rows `first` must write, for COMMIT to follow */
  constructor(
    private readonly Query: QueryCommand,
    private readonly first: CompiledQuery,
    minRows: number,
  ) {
    // 'not committed' is no statement: the server answers with an error, and commits nothing.
    this.#commit = `execute immediate if(row_count() >= ${minRows}, 'commit', 'not committed')`;
    this.sql = `${first.sql}; ${this.#commit}`;
    // `connection.query()` compares it with its own, and takes what is another's for options.
    Object.assign(this, { constructor: Query });
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.settled = promise;
    const settle: Callback = (error) => {
      const cause = this.#error ?? error;
      if (cause) reject(cause);
      else resolve(undefined);
    };
    this.onResult = settle;
  }

  toString(): string {
    return this.sql;
  }

  /** For the `debug` of `mysql2`. */
  stateName(): string {
    return PipelinedCommit.name;
  }

  execute(packet: object | undefined, connection: MySqlConnection): boolean {
    return packet ? this.receive(packet, connection) : this.begin(connection);
  }

  private begin(connection: MySqlConnection): false {
    const text = connection.format(this.first.sql, this.first.parameters);
    connection.stream.cork();
    try {
      this.send(text, connection);
      if (text.length <= MAX_TEXT_LENGTH) this.send(this.#commit, connection);
    } finally {
      connection.stream.uncork();
    }
    return false;
  }

  private send(sql: string, connection: MySqlConnection): void {
    const note: Callback = (error) => {
      if (error) this.#error ??= error;
    };
    const command = new this.Query({ sql }, note);
    this.#sent.push(command);
    command.execute(undefined, connection);
  }

  private receive(packet: object, connection: MySqlConnection): boolean {
    if (!this.#sent[this.#answered]?.execute(packet, connection)) return false;
    this.#answered += 1;
    if (this.#answered < this.#sent.length) {
      connection.sequenceId = SEQUENCE_ID_OF_ANSWER;
      return false;
    }
    if (this.#answered === 1 && !this.#error) {
      this.send(this.#commit, connection);
      return false;
    }
    this.onResult(this.#error);
    return true;
  }

  /** Without rows: ends when both are answered. */
  // eslint-disable-next-line require-yield
  async *stream(): AsyncGenerator<never> {
    await this.settled;
  }
}

/** As a stream, for which Kysely hands over no callback: `mysql2` would not call that of a command that it has not made. */
async function send(connection: SendingConnection, commit: PipelinedCommit): Promise<void> {
  await connection.streamQuery(CompiledQuery.raw(commit as unknown as string), 1).next();
  // Kysely keeps some errors of a stream to itself.
  await commit.settled;
}

/** By one that `mysql2` has made: there may be several copies of it. */
function queryCommandOf(pool: MySqlPool): Promise<QueryCommand> {
  return new Promise((resolve, reject) => {
    const command = pool.query(NOTHING.sql, (error) => {
      if (error) reject(error);
      else resolve(command.constructor as QueryCommand);
    });
  });
}

function isPool(pool: unknown): pool is MySqlPool {
  if (typeof pool !== 'object' || pool === null) return false;
  const { config, query } = pool as Partial<MySqlPool>;
  return typeof query === 'function' && typeof config?.connectionConfig === 'object';
}
