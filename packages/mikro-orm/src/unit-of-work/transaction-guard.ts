import { UnitOfWorkRolledBackError } from '@cqrs-outbox/core';
import { Logger } from '@nestjs/common';
import { CompiledQuery, type DatabaseConnection, type QueryResult } from 'kysely';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { isGoneAfter, isRefusalOfAborted } from './lost-transaction.js';

/** What ends a transaction, as Kysely's dialects write it. */
const END = /^(commit|rollback)$/i;
const logger = new Logger('CqrsOutbox');
const BY_STATEMENT = 'a statement has failed that ended its transaction';

/** Of the transactions that are watched. */
const SIGNALS = new WeakMap<object, AbortSignal>();

/** Whether the statements of a transaction need no care of this signal, since its guard takes it. */
export function isGuardedBy(signal: AbortSignal, transaction: object): boolean {
  return SIGNALS.get(transaction) === signal;
}

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
  /** What is thrown in place of all that follows. */
  #refusal: { reason: unknown } | undefined;
  #inFlight = 0;
  #cancelling: Promise<void> | undefined;
  readonly #executeQuery: DatabaseConnection['executeQuery'];
  readonly #streamQuery: DatabaseConnection['streamQuery'];

  /**
   * From now on until its COMMIT or ROLLBACK is sent.
   *
   * @param signal when it is aborted, the statement in flight is cancelled, where the database can, or ROLLBACK would wait for
   *   its end; what follows is refused with the signal's reason
   */
  static async watch(
    transaction: object,
    outbox: OutboxConnection,
    signal: AbortSignal | undefined,
  ): Promise<TransactionGuard> {
    if (signal) SIGNALS.set(transaction, signal);
    const executor = outbox.asTransaction(transaction).getExecutor();
    return executor.provideConnection(async (connection) => new TransactionGuard(connection, outbox, signal));
  }

  private constructor(
    private readonly connection: DatabaseConnection,
    private readonly outbox: OutboxConnection,
    private readonly signal: AbortSignal | undefined,
  ) {
    // Called on the connection; bound, they would be wrapped once more by each transaction.
    /* eslint-disable @typescript-eslint/unbound-method */
    this.#executeQuery = connection.executeQuery;
    this.#streamQuery = connection.streamQuery;
    /* eslint-enable @typescript-eslint/unbound-method */
    connection.executeQuery = (...args) => this.execute(...args);
    connection.streamQuery = (...args) => this.stream(...args);
    signal?.addEventListener('abort', this.onAbort);
  }

  /**
   * To be called as the last thing before COMMIT.
   *
   * @throws what {@link explain} explains, when the database has ended the transaction
   */
  async verify(): Promise<void> {
    if (this.#refusal) throw this.#refusal.reason;
    if (this.#failure && this.outbox.dialect === 'postgresql') await this.send('select 1');
  }

  /** Tells of a statement that PostgreSQL has refused why it did: the error before it, which somebody has caught. */
  explain(error: unknown): unknown {
    if (!this.#failure || !isRefusalOfAborted(error)) return error;
    return new UnitOfWorkRolledBackError(this.#failure.cause, BY_STATEMENT);
  }

  private async execute<R>(...args: Parameters<DatabaseConnection['executeQuery']>): Promise<QueryResult<R>> {
    const [query] = args;
    if (END.test(query.sql)) this.stop();
    else if (this.#refusal) throw this.#refusal.reason;
    this.#inFlight++;
    try {
      return await this.#executeQuery.call<DatabaseConnection, typeof args, Promise<QueryResult<R>>>(
        this.connection,
        ...args,
      );
    } catch (error) {
      throw await this.onFailure(error);
    } finally {
      this.#inFlight--;
      // Or it could hit the next statement.
      if (this.#cancelling) await this.#cancelling;
    }
  }

  private async *stream<R>(
    ...args: Parameters<DatabaseConnection['streamQuery']>
  ): AsyncGenerator<QueryResult<R>> {
    if (this.#refusal) throw this.#refusal.reason;
    try {
      yield* this.#streamQuery.call<DatabaseConnection, typeof args, AsyncIterableIterator<QueryResult<R>>>(
        this.connection,
        ...args,
      );
    } catch (error) {
      throw await this.onFailure(error);
    }
  }

  /** The connection goes back to its pool, for whoever comes next. */
  private stop(): void {
    this.connection.executeQuery = this.#executeQuery;
    this.connection.streamQuery = this.#streamQuery;
    this.signal?.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = (): void => {
    this.#refusal = { reason: this.signal?.reason };
    if (this.outbox.dialect !== 'sqlite' && this.#inFlight > 0) this.#cancelling = this.cancel();
  };

  /** The statement then rejects; where that does not work, its end is waited for. */
  private async cancel(): Promise<void> {
    try {
      await this.connection.collectSessionInfo?.();
      const client = await this.outbox.client();
      await this.connection.cancelQuery?.((consumer) => client.getExecutor().provideConnection(consumer));
    } catch (error) {
      // pg's way to say that the statement has ended meanwhile is a TypeError.
      if (this.#inFlight > 0) logger.warn(`A statement could not be cancelled: ${String(error)}`);
    }
  }

  /** @returns what is to be thrown */
  private async onFailure(cause: unknown): Promise<unknown> {
    if (this.signal?.aborted) return this.signal.reason;
    // It says nothing of its own.
    if (isRefusalOfAborted(cause)) return cause;
    this.#failure = { cause };
    if (await isGoneAfter(cause, this.outbox.dialect, (statement) => this.send(statement)))
      this.#refusal = { reason: new UnitOfWorkRolledBackError(cause, BY_STATEMENT) };
    return cause;
  }

  private async send(statement: string): Promise<void> {
    await this.#executeQuery.call(this.connection, CompiledQuery.raw(statement));
  }
}
