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
  readonly #settled = Promise.withResolvers<undefined>();
  readonly #texts: readonly string[];
  #parts: readonly MySqlCommand[] = [];
  #answered = 0;
  #error: Error | undefined;

  /** For those who look at what is sent. */
  sql: string;
  /** `mysql2` would put them into the text. */
  readonly values: readonly unknown[] = [];

  /** @param minRows so many rows `first` must write, for COMMIT to follow */
  constructor(
    private readonly Query: QueryCommand,
    private readonly first: CompiledQuery,
    minRows: number,
  ) {
    // What is no COMMIT is no statement at all: an error, and nobody takes it for one.
    const commit = `execute immediate if(row_count() >= ${minRows}, 'commit', 'not committed')`;
    this.#texts = [first.sql, commit];
    this.sql = this.#texts.join('; ');
    // `mysql2` knows its commands by it.
    Object.assign(this, { constructor: Query });
  }

  toString(): string {
    return this.sql;
  }

  /** For the `debug` of `mysql2`. */
  stateName(): string {
    return PipelinedCommit.name;
  }

  /** Also when the connection is lost. What traces `mysql2` puts one in its place. */
  onResult: Callback = (error) => {
    if (error) this.#settled.reject(error);
    else this.#settled.resolve(undefined);
  };

  execute(packet: object | undefined, connection: MySqlConnection): boolean {
    if (packet) return this.receive(packet, connection);
    const [first = '', commit = ''] = this.#texts;
    const note: Callback = (error) => {
      this.#error ??= error ?? undefined;
    };
    this.#parts = [connection.format(first, this.first.parameters), commit].map(
      (sql) => new this.Query({ sql }, note),
    );
    connection.stream.cork();
    try {
      for (const part of this.#parts) part.execute(undefined, connection);
    } finally {
      connection.stream.uncork();
    }
    return false;
  }

  private receive(packet: object, connection: MySqlConnection): boolean {
    const isAnswered = this.#parts[this.#answered]?.execute(packet, connection);
    if (!isAnswered) return false;
    this.#answered += 1;
    if (this.#answered === this.#parts.length) {
      this.onResult(this.#error);
      return true;
    }
    connection.sequenceId = SEQUENCE_ID_OF_ANSWER;
    return false;
  }

  /** Without rows: ends when both are answered. */
  // eslint-disable-next-line require-yield
  async *stream(): AsyncGenerator<never> {
    await this.#settled.promise;
  }
}

/** As a stream, for which Kysely hands over no callback: `mysql2` would not call that of a command that it has not made. */
async function send(connection: SendingConnection, commit: PipelinedCommit): Promise<void> {
  await connection.streamQuery(CompiledQuery.raw(commit as unknown as string), 1).next();
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
