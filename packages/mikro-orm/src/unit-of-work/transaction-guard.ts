import { UnitOfWorkRolledBackError } from '@cqrs-outbox/core';
import { CompiledQuery, type DatabaseConnection, type QueryResult } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxTransaction } from '../schema/tables.js';
import { isGoneAfter, isRefusalOfAborted } from './lost-transaction.js';

/** What ends a transaction, as Kysely's dialects write it. */
const END = /^(commit|rollback)$/i;
const BY_STATEMENT = 'a statement has failed that ended its transaction';

/**
 * Notes the statements of one transaction that fail, also when whoever has sent them catches the error: the database may have
 * ended the transaction by itself, and says nothing of it at COMMIT. All ways to the database end at the connection, which is
 * therefore where it listens; it costs a statement nothing that succeeds.
 *
 *   PostgreSQL      refuses what follows by itself, unless a savepoint is rolled back; one statement before COMMIT shows it
 *   MySQL, SQLite   would run what follows outside of any transaction: it is refused here
 */
export class TransactionGuard {
  #failure: { cause: unknown } | undefined;
  #refusal: UnitOfWorkRolledBackError | undefined;
  readonly #executeQuery: DatabaseConnection['executeQuery'];
  readonly #streamQuery: DatabaseConnection['streamQuery'];

  /** From now on until its COMMIT or ROLLBACK is sent. */
  static async watch(transaction: OutboxTransaction, dialect: SqlDialect): Promise<TransactionGuard> {
    const executor = transaction.getExecutor();
    return executor.provideConnection(async (connection) => new TransactionGuard(connection, dialect));
  }

  private constructor(
    private readonly connection: DatabaseConnection,
    private readonly dialect: SqlDialect,
  ) {
    // Called on the connection; bound, they would be wrapped once more by each transaction.
    /* eslint-disable @typescript-eslint/unbound-method */
    this.#executeQuery = connection.executeQuery;
    this.#streamQuery = connection.streamQuery;
    /* eslint-enable @typescript-eslint/unbound-method */
    connection.executeQuery = (...args) => this.execute(...args);
    connection.streamQuery = (...args) => this.stream(...args);
  }

  /**
   * To be called as the last thing before COMMIT.
   *
   * @throws what {@link explain} explains, when the database has ended the transaction
   */
  async verify(): Promise<void> {
    if (this.#refusal) throw this.#refusal;
    if (this.#failure && this.dialect === 'postgresql') await this.send('select 1');
  }

  /** Tells of a statement that PostgreSQL has refused why it did: the error before it, which somebody has caught. */
  explain(error: unknown): unknown {
    if (!this.#failure || !isRefusalOfAborted(error)) return error;
    return new UnitOfWorkRolledBackError(this.#failure.cause, BY_STATEMENT);
  }

  private async execute<R>(...args: Parameters<DatabaseConnection['executeQuery']>): Promise<QueryResult<R>> {
    const [query] = args;
    if (END.test(query.sql)) this.stop();
    else if (this.#refusal) throw this.#refusal;
    try {
      return await this.#executeQuery.call<DatabaseConnection, typeof args, Promise<QueryResult<R>>>(
        this.connection,
        ...args,
      );
    } catch (error) {
      await this.note(error);
      throw error;
    }
  }

  private async *stream<R>(
    ...args: Parameters<DatabaseConnection['streamQuery']>
  ): AsyncGenerator<QueryResult<R>> {
    if (this.#refusal) throw this.#refusal;
    try {
      yield* this.#streamQuery.call<DatabaseConnection, typeof args, AsyncIterableIterator<QueryResult<R>>>(
        this.connection,
        ...args,
      );
    } catch (error) {
      await this.note(error);
      throw error;
    }
  }

  /** The connection goes back to its pool, for whoever comes next. */
  private stop(): void {
    this.connection.executeQuery = this.#executeQuery;
    this.connection.streamQuery = this.#streamQuery;
  }

  private async note(cause: unknown): Promise<void> {
    // It says nothing of its own.
    if (isRefusalOfAborted(cause)) return;
    this.#failure = { cause };
    if (await isGoneAfter(cause, this.dialect, (statement) => this.send(statement)))
      this.#refusal = new UnitOfWorkRolledBackError(cause, BY_STATEMENT);
  }

  private async send(statement: string): Promise<void> {
    await this.#executeQuery.call(this.connection, CompiledQuery.raw(statement));
  }
}
