import type { DatabaseConnection, QueryResult } from 'kysely';
import type { OutboxKysely } from '../schema/tables.js';
import { EndedTransactionError } from './ended-transaction.js';
import { IS_ROLLBACK } from './transaction-ends.js';

export type ExecuteArguments = Parameters<DatabaseConnection['executeQuery']>;
export type StreamArguments = Parameters<DatabaseConnection['streamQuery']>;

/** What the statements of a transaction come to before they get to its connection. */
export interface StatementFilter {
  execute<R>(...args: ExecuteArguments): Promise<QueryResult<R>>;
  stream<R>(...args: StreamArguments): AsyncIterableIterator<QueryResult<R>>;
}

/** Lets nothing through, and says that it has rolled back: Kysely then gives the connection back, if it has not yet. */
const ENDED: StatementFilter = {
  execute: ({ sql }) =>
    IS_ROLLBACK.test(sql) ? Promise.resolve({ rows: [] }) : Promise.reject(new EndedTransactionError()),
  // eslint-disable-next-line require-yield
  async *stream() {
    throw new EndedTransactionError();
  },
};

/**
 * What Kysely takes for the connection of one transaction. The real one goes back to its pool at the end and is another's by then:
 * whoever still has this one does not get to it any more.
 */
export class GuardedConnection implements DatabaseConnection {
  #real: DatabaseConnection | undefined;
  #filter: StatementFilter;

  constructor(real: DatabaseConnection, filter: StatementFilter) {
    this.#real = real;
    this.#filter = filter;
  }

  /** The transaction is over. */
  close(): void {
    this.#real = undefined;
    this.#filter = ENDED;
  }

  executeQuery<R>(...args: ExecuteArguments): Promise<QueryResult<R>> {
    return this.#filter.execute(...args);
  }

  streamQuery<R>(...args: StreamArguments): AsyncIterableIterator<QueryResult<R>> {
    return this.#filter.stream(...args);
  }

  get collectSessionInfo() {
    return this.#real?.collectSessionInfo?.bind(this.#real);
  }

  get cancelQuery() {
    return this.#real?.cancelQuery?.bind(this.#real);
  }

  get killSession() {
    return this.#real?.killSession?.bind(this.#real);
  }
}

/** The same Kysely, whose connections are made into others. */
export function withConnections(
  client: OutboxKysely,
  convert: (connection: DatabaseConnection) => DatabaseConnection,
): OutboxKysely {
  // A copy, with an executor of its own.
  let copy: OutboxKysely = client.withoutPlugins();
  for (const plugin of client.getExecutor().plugins) copy = copy.withPlugin(plugin);
  const executor = copy.getExecutor();
  const provideReal = executor.provideConnection.bind(executor);
  const provideConnection: typeof provideReal = (consumer, options) =>
    provideReal((connection) => consumer(convert(connection)), options);
  executor.provideConnection = provideConnection;
  return copy;
}
