import { AsyncLocalStorage } from 'node:async_hooks';
import {
  AggregateRoot,
  UnitOfWork,
  type CommittingTransaction,
  type PendingEvents,
  type RunPart,
  type TransactionHooks,
  type TransactionOptions,
} from '@cqrs-outbox/core';
import type { InMemoryDatabase } from './in-memory-database.js';
import { InMemoryTransaction } from './in-memory-transaction.js';

/** What belongs to the current asynchronous call: in place of an ORM's entity manager. */
interface Context {
  readonly transaction: InMemoryTransaction | undefined;
  readonly aggregates: Set<AggregateRoot>;
}

interface OpenContext extends Context {
  readonly transaction: InMemoryTransaction;
}

/**
 * Transactions in memory, found again by the asynchronous call that they belong to. Outbox entries and inbox rows of
 * theirs commit or vanish with them. There are no row locks: transactions that change the same data at the same time
 * don't wait for each other. Only those do that lock the same key, as events with `strictOrder` have them do.
 *
 *   outermost:  begin ... hooks.beforeCommit -> commit -> hooks.afterCommit
 *   savepoint:  hooks.collect, begin ... hooks.collect, released: its events go to the transaction around it
 *                                    \-- rolled back: its events, and what its aggregates have recorded, are dropped
 */
export class InMemoryUnitOfWork extends UnitOfWork {
  readonly #storage = new AsyncLocalStorage<Context>();
  #hooks: TransactionHooks | undefined;

  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  setHooks(hooks: TransactionHooks): void {
    this.#hooks = hooks;
  }

  get hasContext(): boolean {
    return this.#storage.getStore() !== undefined;
  }

  get canBePart(): boolean {
    return true;
  }

  runInContext<T>(work: () => Promise<T>): Promise<T> {
    const { transaction } = this;
    // Outside of a transaction no aggregate can be registered: any context is as fresh as another.
    return transaction ? this.#storage.run({ transaction, aggregates: new Set() }, work) : work();
  }

  async runInTransaction<T>(work: () => Promise<T>, { onCommitted }: TransactionOptions = {}): Promise<T> {
    const { transaction } = this;
    return transaction
      ? this.runSavepoint(transaction, new Set(), work)
      : this.runOutermost(work, onCommitted);
  }

  async runInParts<T>(
    work: (runPart: RunPart) => Promise<T>,
    { onCommitted }: TransactionOptions = {},
  ): Promise<T> {
    return this.runOutermost(
      ({ transaction }) => work((part) => this.runPart({ transaction, aggregates: new Set() }, part)),
      onCommitted,
    );
  }

  private runPart<T>(context: OpenContext, part: () => Promise<T>): Promise<T> {
    return this.#storage.run(context, async () => {
      try {
        const result = await part();
        await this.#hooks?.completePart(this.committing(context));
        return result;
      } catch (error) {
        for (const aggregate of context.aggregates) AggregateRoot.takeRecorded(aggregate);
        throw error;
      }
    });
  }

  /**
   * Runs `work` in a savepoint of the current transaction, in the same context. When it rejects, what was appended,
   * registered for undoing or recorded by aggregates inside is undone, and the transaction can go on.
   *
   * @throws Error outside of a transaction
   */
  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const context = this.inTransaction('savepoint');
    // What was recorded before the savepoint survives its rollback.
    this.#hooks?.collect(this.committing(context));
    return this.runSavepoint(context.transaction, context.aggregates, work);
  }

  current(): PendingEvents | undefined {
    const pending = this.#hooks && this.transaction?.pending;
    return pending?.isClosed ? undefined : pending;
  }

  /**
   * Makes an aggregate known to the current transaction, as loading or persisting it through an ORM would: what it
   * records is collected before the commit.
   *
   * @returns the aggregate itself
   * @throws Error outside of a transaction
   */
  register<T extends AggregateRoot>(aggregate: T): T {
    this.inTransaction('register').aggregates.add(aggregate);
    return aggregate;
  }

  /**
   * Has `undo` called if the current transaction or savepoint is rolled back, the last one first: for repositories in
   * memory, whose changes must then vanish too.
   *
   * @throws Error outside of a transaction
   */
  onRollback(undo: () => void): void {
    this.inTransaction('onRollback').transaction.onRollback(undo);
  }

  /** The innermost open transaction or savepoint. @internal */
  get transaction(): InMemoryTransaction | undefined {
    const transaction = this.#storage.getStore()?.transaction;
    return transaction?.isOpen ? transaction : undefined;
  }

  private async runOutermost<T>(
    work: (context: OpenContext) => Promise<T>,
    onCommitted?: () => void,
  ): Promise<T> {
    const context: OpenContext = { transaction: new InMemoryTransaction(), aggregates: new Set() };
    const { transaction } = context;
    return this.#storage.run(context, async () => {
      const result = await this.orRollBack(context, async () => {
        const done = await work(context);
        await this.#hooks?.beforeCommit(this.committing(context));
        return done;
      });
      this.database.insert(transaction.inserted);
      transaction.commit();
      onCommitted?.();
      await this.#hooks?.afterCommit({
        pending: transaction.pending,
        inserted: transaction.inserted,
        runOutside: (inner) => this.#storage.run({ transaction: undefined, aggregates: new Set() }, inner),
      });
      return result;
    });
  }

  private async runSavepoint<T>(
    parent: InMemoryTransaction,
    aggregates: Set<AggregateRoot>,
    work: () => Promise<T>,
  ): Promise<T> {
    const context: OpenContext = { transaction: new InMemoryTransaction(parent), aggregates };
    return this.#storage.run(context, async () => {
      const result = await this.orRollBack(context, work);
      this.#hooks?.collect(this.committing(context));
      if (!parent.isOpen)
        throw new Error('A savepoint was still running when its transaction ended: await it.');
      context.transaction.release();
      return result;
    });
  }

  private async orRollBack<T>(context: OpenContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      for (const aggregate of context.aggregates) AggregateRoot.takeRecorded(aggregate);
      context.transaction.rollBack();
      throw error;
    }
  }

  private inTransaction(method: string): OpenContext {
    const context = this.#storage.getStore();
    if (context?.transaction?.isOpen)
      return { transaction: context.transaction, aggregates: context.aggregates };
    throw new Error(
      `${method} needs an open transaction: call it in a command handler or in runInTransaction.`,
    );
  }

  private committing(context: OpenContext): CommittingTransaction {
    const { transaction, aggregates } = context;
    return {
      pending: transaction.pending,
      aggregates: () => aggregates,
      run: (work) => this.#storage.run(context, work),
      // Without an ORM there are no changes that wait to be written.
      flush: async () => undefined,
      canFlush: true,
      lockKeys: (keys) => this.lockKeys(keys, transaction.outermost),
      insert: async (entries) => void transaction.outermost.inserted.push(...entries),
    };
  }

  private async lockKeys(keys: readonly string[], transaction: InMemoryTransaction): Promise<void> {
    const { keyLocks } = this.database;
    for (const key of [...new Set(keys)].sort()) {
      for (let owner = keyLocks.get(key); owner?.isOpen && owner !== transaction; owner = keyLocks.get(key))
        await owner.ended;
      if (keyLocks.get(key) === transaction) continue;
      keyLocks.set(key, transaction);
      void transaction.ended.then(() => keyLocks.get(key) === transaction && keyLocks.delete(key));
    }
  }
}
