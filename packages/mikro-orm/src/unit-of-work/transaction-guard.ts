import { UnitOfWorkRolledBackError } from '@cqrs-outbox/core';
import { CompiledQuery, type DatabaseConnection, type QueryExecutor, type QueryResult } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxTransaction } from '../schema/tables.js';
import { EndedTransactionError } from './ended-transaction.js';
import { isGoneAfter, isRefusalOfAborted } from './lost-transaction.js';

/** What ends a transaction, as Kysely's dialects write it. */
const END = /^(commit|rollback)$/i;
const COMMIT = /^commit$/i;
const BY_STATEMENT = 'a statement has failed that ended its transaction';

/**
 * Notes the statements of one transaction that fail, also when whoever has sent them catches the error: the database may have
 * ended the transaction by itself, and says nothing of it at COMMIT. All ways to the database end at the connection, which is
 * therefore where it listens; it costs a statement nothing that succeeds.
 *
 *   PostgreSQL      refuses what follows by itself, unless a savepoint is rolled back; one statement before COMMIT shows it
 *   MySQL, SQLite   would run what follows outside of any transaction: it is refused here
 *
 * COMMIT waits for what was sent before it and not waited for, which may fail too. From then on, as from ROLLBACK, nothing is
 * let through that the work has left running: it would have its effect outside of the transaction.
 */
export class TransactionGuard {
  #failure: { cause: unknown } | undefined;
  #refusal: Error | undefined;
  readonly #executeQuery: DatabaseConnection['executeQuery'];
  readonly #streamQuery: DatabaseConnection['streamQuery'];

  /** From now on until its COMMIT or ROLLBACK is sent. */
  static async watch(transaction: OutboxTransaction, dialect: SqlDialect): Promise<TransactionGuard> {
    const executor = transaction.getExecutor();
    return executor.provideConnection(
      async (connection) => new TransactionGuard(executor, connection, dialect),
    );
  }

  private constructor(
    private readonly executor: QueryExecutor,
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

  /** Tells of a statement that PostgreSQL has refused why it did: the error before it, which somebody has caught. */
  explain(error: unknown): unknown {
    if (!this.#failure || !isRefusalOfAborted(error)) return error;
    return new UnitOfWorkRolledBackError(this.#failure.cause, BY_STATEMENT);
  }

  private async execute<R>(...args: Parameters<DatabaseConnection['executeQuery']>): Promise<QueryResult<R>> {
    const [{ sql }] = args;
    if (END.test(sql)) return this.end(COMMIT.test(sql), () => this.send<R>(...args));
    if (this.#refusal) throw this.#refusal;
    try {
      return await this.send<R>(...args);
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

  /** @throws before COMMIT is sent, when the database has ended the transaction */
  private async end<R>(isCommit: boolean, send: () => Promise<R>): Promise<R> {
    // Who has the connection is alone with it: nothing comes between the last look and COMMIT.
    if (isCommit) await this.executor.provideConnection(() => this.verify());
    else this.refuseAll();
    try {
      return await send();
    } finally {
      // What waits for its turn is refused before the connection goes back to its pool, for whoever comes next.
      await this.executor.provideConnection(async () => undefined);
      this.connection.executeQuery = this.#executeQuery;
      this.connection.streamQuery = this.#streamQuery;
    }
  }

  private async verify(): Promise<void> {
    if (this.#refusal) throw this.#refusal;
    if (this.#failure && this.dialect === 'postgresql') await this.send(CompiledQuery.raw('select 1'));
    this.refuseAll();
  }

  private refuseAll(): void {
    this.#refusal ??= new EndedTransactionError();
  }

  private async note(cause: unknown): Promise<void> {
    // The latter says nothing of its own.
    if (this.#refusal || isRefusalOfAborted(cause)) return;
    this.#failure = { cause };
    const ask = async (statement: string): Promise<void> => {
      await this.send(CompiledQuery.raw(statement));
    };
    if (await isGoneAfter(cause, this.dialect, ask))
      this.#refusal = new UnitOfWorkRolledBackError(cause, BY_STATEMENT);
  }

  private send<R>(...args: Parameters<DatabaseConnection['executeQuery']>): Promise<QueryResult<R>> {
    return this.#executeQuery.call<DatabaseConnection, typeof args, Promise<QueryResult<R>>>(
      this.connection,
      ...args,
    );
  }
}
