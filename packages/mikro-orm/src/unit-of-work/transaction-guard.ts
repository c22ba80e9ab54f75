import type { AsyncLocalStorage } from 'node:async_hooks';
import { UnitOfWorkRolledBackError } from '@cqrs-outbox/core';
import { CompiledQuery, type DatabaseConnection, type QueryExecutor, type QueryResult } from 'kysely';
import type { OutboxKysely, OutboxTransaction } from '../schema/tables.js';
import type { SendingConnection } from '../store/one-trip/insert-and-commit.js';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { EndedTransactionError, refuseStatements } from './ended-transaction.js';
import {
  GuardedConnection,
  withConnections,
  type ExecuteArguments,
  type StatementFilter,
  type StreamArguments,
} from './guarded-connection.js';
import { LeftBegin } from './left-begin.js';
import { isGoneAfter, isOfDeadConnection, isRefusalOfAborted } from './lost-transaction.js';
import { OpenSavepoints } from './open-savepoints.js';
import { patchConnection, type PatchedConnection } from './patch-connection.js';
import { StatementCancellation } from './statement-cancellation.js';
import { IS_COMMIT, IS_END, IS_ROLLBACK } from './transaction-ends.js';
import type { TransactionPart } from './transaction-part.js';

/** What is read of the result of BEGIN, COMMIT and ROLLBACK. */
const NOTHING: QueryResult<never> = { rows: [] };

/**
 * Notes the statements of one transaction that fail, also when whoever has sent them catches the error: the database may have
 * ended the transaction by itself, and says nothing of it at COMMIT. All ways to the database end at the connection, which is
 * therefore where it listens.
 *
 *   PostgreSQL      refuses what follows by itself, unless a savepoint is rolled back; one statement before COMMIT shows it
 *   MySQL, SQLite   would run what follows outside of any transaction: it is refused here
 *
 * COMMIT waits for what was sent before it and not waited for, which may fail too. From then on, as from ROLLBACK, nothing is
 * let through that the work has left running: it would have its effect outside of the transaction. So it is with the end of a
 * part, of those that share a transaction. A nested transaction that is left running is refused as a whole.
 */
export class TransactionGuard implements StatementFilter {
  #failure: { cause: unknown } | undefined;
  /** What is thrown in place of all that follows: made then, since an error takes long to make. */
  #refusal: (() => Error) | undefined;
  /** Undefined until the transaction has been opened for Kysely. */
  #executor: QueryExecutor | undefined;
  #transaction: OutboxTransaction | undefined;
  /** Where it is left for the first statement. */
  #begin: LeftBegin | undefined;
  /** Sends COMMIT, and what goes with it. */
  #commit: (() => Promise<unknown>) | undefined;
  readonly #savepoints = new OpenSavepoints();
  readonly #cancellation: StatementCancellation | undefined;
  /** What Kysely has: in place of the connection, or the connection itself. */
  #guarded: GuardedConnection | undefined;
  #patched: PatchedConnection | undefined;
  #mayEnd = false;

  /**
   * From now on until its COMMIT has succeeded, or its ROLLBACK.
   *
   * @param parts tells which part of a transaction is at work
   * @param signal when it is aborted, the statement in flight is cancelled, where the database can, and what follows is refused
   *   with its reason
   */
  static watch(
    transaction: object,
    outbox: OutboxConnection,
    parts: AsyncLocalStorage<TransactionPart>,
    signal: AbortSignal | undefined,
  ): Promise<TransactionGuard> {
    const opened = outbox.asTransaction(transaction);
    return opened.getExecutor().provideConnection(async (connection) => {
      const guard = new TransactionGuard(connection, outbox, parts, signal);
      guard.#patched = patchConnection(connection, guard);
      guard.opened(opened);
      return guard;
    });
  }

  /** Opens a transaction: BEGIN goes to the database with the first statement. */
  static async open(
    client: OutboxKysely,
    outbox: OutboxConnection,
    parts: AsyncLocalStorage<TransactionPart>,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly transaction: OutboxTransaction; readonly guard: TransactionGuard }> {
    const made: TransactionGuard[] = [];
    const guarded = withConnections(client, (connection) => {
      const guard = new TransactionGuard(connection, outbox, parts, signal);
      guard.leaveBegin();
      made.push(guard);
      return (guard.#guarded = new GuardedConnection(connection, guard));
    });
    const transaction = await guarded.startTransaction().execute();
    const [guard] = made;
    if (!guard) throw new TypeError('The transaction has no connection.');
    guard.opened(transaction);
    return { transaction, guard };
  }

  private constructor(
    private readonly connection: DatabaseConnection,
    private readonly outbox: OutboxConnection,
    private readonly parts: AsyncLocalStorage<TransactionPart>,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal) this.#cancellation = new StatementCancellation(connection, outbox, signal);
  }

  private leaveBegin(): void {
    this.#begin = new LeftBegin(
      (query) => this.send(query),
      this.outbox.oneTrip,
      (cause) => this.refuse(() => endedBy(cause)),
    );
  }

  private opened(transaction: OutboxTransaction): void {
    this.#transaction = transaction;
    this.#executor = transaction.getExecutor();
  }

  /** From now on it may be committed, or rolled back: the work is done, and what the unit of work does before is done as well. */
  allowEnd(): void {
    this.#mayEnd = true;
  }

  /** Tells of a statement that PostgreSQL has refused why it did: the error before it, which somebody has caught. */
  explain(error: unknown): unknown {
    if (!this.#failure || !isRefusalOfAborted(error)) return error;
    return endedBy(this.#failure.cause);
  }

  /**
   * Ends a part, when what it has sent is done: whatever it sends from then on is refused.
   *
   * @throws what {@link explain} explains, when the database has ended the transaction, and for a nested transaction that is
   *   still running: the whole must then be rolled back
   */
  endPart(part: TransactionPart): Promise<void> {
    return this.alone(async () => {
      part.isOver = true;
      const verifying = this.verify();
      if (verifying) await verifying;
    });
  }

  /**
   * Has the last INSERT of the transaction sent together with COMMIT, which throws then what it throws.
   *
   * @returns false when it must be sent before: where the database can't; and where it may have to be cancelled, as COMMIT never is
   */
  leaveToCommit(insert: CompiledQuery): boolean {
    const insertAndCommit = this.outbox.oneTrip?.insertAndCommit;
    if (!insertAndCommit || this.signal || this.#begin?.isLeft) return false;
    const commit = () => insertAndCommit(this.past, insert);
    this.#commit = commit;
    return true;
  }

  execute<R>(...args: ExecuteArguments): Promise<QueryResult<R>> {
    const [{ sql }] = args;
    if (!this.#executor) return Promise.resolve(NOTHING);
    if (!this.#mayEnd && IS_END.test(sql)) return Promise.reject(endedByHand(sql));
    if (IS_COMMIT.test(sql)) return this.commit(args);
    if (IS_ROLLBACK.test(sql)) return this.rollback(args);
    return this.pass(args);
  }

  private async pass<R>(args: ExecuteArguments): Promise<QueryResult<R>> {
    const [{ sql }] = args;
    this.refuseLate();
    const undo = this.#savepoints.note(sql);
    try {
      this.#cancellation?.begin();
      try {
        if (this.#begin?.isAnswered === false) {
          const result = await this.#begin.sendFor<R>(args[0]);
          if (result) return result;
          // The work, or its time, may have ended while BEGIN was on its way.
          this.refuseLate();
        }
        return await this.send<R>(...args);
      } finally {
        const cancelling = this.#cancellation?.end();
        // Or it could hit the next statement.
        if (cancelling) await cancelling;
      }
    } catch (error) {
      undo?.();
      throw await this.note(error);
    }
  }

  async *stream<R>(...args: StreamArguments): AsyncGenerator<QueryResult<R>> {
    this.refuseLate();
    try {
      await this.#begin?.sendFor();
      this.refuseLate();
      for await (const row of this.past.streamQuery<R>(...args)) {
        this.refuseLate();
        yield row;
      }
    } catch (error) {
      throw await this.note(error);
    }
  }

  /** @throws before COMMIT is sent, when the database has ended the transaction: as after a COMMIT that fails, ROLLBACK comes next */
  private async commit(args: ExecuteArguments): Promise<QueryResult<never>> {
    // Who has the connection is alone with it: nothing comes between the last look and COMMIT.
    await this.alone(async () => {
      const verifying = this.verify();
      if (verifying) await verifying;
      this.refuseAll();
    });
    if (this.#commit) await this.#commit();
    else if (this.hasBegun) await this.send(...args);
    const leaving = this.leave();
    if (leaving) await leaving;
    return NOTHING;
  }

  private async rollback(args: ExecuteArguments): Promise<QueryResult<never>> {
    this.refuseAll();
    try {
      if (this.hasBegun) await this.send(...args);
    } catch {
      // It may have been killed, and does nothing where there is no transaction any more.
      await this.rollbackAgain(args);
    }
    // A stream may have been begun in the last moment, and reads from the connection itself.
    await this.idle();
    await this.leave();
    return NOTHING;
  }

  /**
   * Kysely gives the connection back when this has succeeded; the pool throws away one that is dead. Another it keeps, and so
   * nothing gets to that any more.
   */
  private async rollbackAgain(args: ExecuteArguments): Promise<void> {
    try {
      await this.send(...args);
    } catch (error) {
      if (!isOfDeadConnection(error)) throw error;
    }
  }

  /** An empty transaction has no BEGIN, and nothing to be ended. */
  private get hasBegun(): boolean {
    return !this.#begin?.isLeft;
  }

  /** @returns what is to be waited for before the connection goes back to its pool */
  private leave(): Promise<unknown> | undefined {
    this.#guarded?.close();
    const cancelling = this.#cancellation?.stop();
    return this.#patched ? Promise.all([cancelling, this.unpatch(this.#patched)]) : cancelling;
  }

  private async unpatch({ restore }: PatchedConnection): Promise<void> {
    // Kysely notes the end some microtasks later. What came until then would wait for a turn that comes when the connection is another's.
    if (this.#transaction) refuseStatements(this.#transaction);
    // The connection, which lives on, would keep all that belongs to it until the next major collection.
    this.#transaction = undefined;
    // What waits already is refused before the connection goes back to its pool.
    await this.idle();
    restore();
  }

  /** @throws when the database has ended the transaction, or part of it would be lost @returns what is to be waited for */
  private verify(): Promise<void> | undefined {
    if (this.#refusal) throw this.#refusal();
    this.signal?.throwIfAborted();
    const settle = (): void => {
      this.#failure = undefined;
      this.#savepoints.verifyNone();
    };
    if (this.#failure && this.outbox.dialect === 'postgresql') return this.ask('select 1').then(settle);
    settle();
    return undefined;
  }

  private refuseLate(): void {
    if (this.#refusal) throw this.#refusal();
    this.signal?.throwIfAborted();
    const part = this.parts.getStore();
    if (part?.guard === this && part.isOver) throw new EndedTransactionError();
  }

  /** @param refusal makes what is thrown; the first one counts */
  private refuse(refusal: () => Error): void {
    this.#refusal ??= refusal;
  }

  private refuseAll(): void {
    this.refuse(ended);
  }

  /** @returns what is to be thrown */
  private async note(cause: unknown): Promise<unknown> {
    if (this.signal?.aborted) return this.signal.reason;
    // The latter says nothing of its own.
    if (this.#refusal || isRefusalOfAborted(cause)) return cause;
    this.#failure = { cause };
    if (await isGoneAfter(cause, this.outbox.dialect, (statement) => this.ask(statement)))
      this.refuse(() => endedBy(cause));
    return cause;
  }

  /** Waits for the statement in flight, and lets nothing else through meanwhile. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#executor) throw new TypeError('The transaction has not been opened.');
    return this.#executor.provideConnection(work);
  }

  private idle(): Promise<void> {
    return this.alone(async () => undefined);
  }

  private async ask(statement: string): Promise<void> {
    await this.send(CompiledQuery.raw(statement));
  }

  private send<R>(...args: ExecuteArguments): Promise<QueryResult<R>> {
    return this.past.executeQuery(...args);
  }

  /** The way to the database. */
  private get past(): SendingConnection {
    return this.#patched?.past ?? this.connection;
  }
}

function ended(): EndedTransactionError {
  return new EndedTransactionError();
}

function endedBy(cause: unknown): UnitOfWorkRolledBackError {
  return new UnitOfWorkRolledBackError(cause, 'a statement has failed that ended its transaction');
}

function endedByHand(sql: string): TypeError {
  return new TypeError(
    `${sql.trim()} is not sent: the unit of work ends its transaction by itself, with the events. Throw to have it rolled back.`,
  );
}
