import {
  type PendingEvents,
  UnitOfWork,
  type TransactionHooks,
  type TransactionOptions,
} from '@cqrs-outbox/core';
import {
  RequestContext,
  TransactionContext,
  type EntityManager,
  type EventSubscriber,
  type MikroORM,
} from '@mikro-orm/core';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { endWith, ENDED_TRANSACTION, EndedTransactionError } from './ended-transaction.js';
import { isSavepoint, OutboxSubscriber } from './outbox.subscriber.js';
import { TransactionGuard } from './transaction-guard.js';
import { TransactionLedger } from './transaction-ledger.js';

/** MikroORM's transactions as units of work: those of commands and of `em.transactional` alike. */
export class MikroOrmUnitOfWork extends UnitOfWork {
  readonly #ledger = new TransactionLedger();
  #isListening = false;

  constructor(
    private readonly orm: MikroORM,
    private readonly connection: OutboxConnection,
  ) {
    super();
  }

  setHooks(hooks: TransactionHooks): void {
    this.#isListening = true;
    const subscriber = new OutboxSubscriber(hooks, this.#ledger, this.connection);
    this.orm.em.getEventManager().registerSubscriber(subscriber);
    // For `em.fork({ freshEventManager: true })`, which takes the configured ones.
    this.orm.config.get<'subscribers', EventSubscriber[]>('subscribers').push(subscriber);
  }

  runInContext<T>(work: () => Promise<T>): Promise<T> {
    const { em } = this.orm;
    // The context of a transaction, which may be over, comes before that of a request.
    const ofTransaction = TransactionContext.getEntityManager(em.name);
    if (!ofTransaction && !em.isInTransaction()) return RequestContext.create(this.entityManagers(), work);
    // Or what a handler does that was given up would commit in a transaction of its own, and again at the next try.
    if (ofTransaction?.getTransactionContext<object>() === ENDED_TRANSACTION)
      return Promise.reject(new EndedTransactionError());
    // Work that goes on after the end of its transaction still finds it in its context, and must leave it.
    const keepTransactionContext = this.current() !== undefined;
    return TransactionContext.create(em.fork({ clear: true, keepTransactionContext }), work);
  }

  /**
   * MySQL and PostgreSQL cancel the statement in flight when the signal says so, or the rollback would wait for its end;
   * SQLite can't.
   */
  async runInTransaction<T>(work: () => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { signal } = options;
    const isCancellable = signal !== undefined && this.connection.dialect !== 'sqlite';
    const cancelling = isCancellable ? ({ inflightQueryAbortStrategy: 'cancel query' } as const) : {};
    let guard: TransactionGuard | undefined;
    try {
      return await this.orm.em.transactional(
        async (em) => {
          const transaction = em.getTransactionContext<object>();
          if (transaction && !isSavepoint(transaction)) {
            guard = await TransactionGuard.watch(
              this.connection.asTransaction(transaction),
              this.connection.dialect,
            );
            this.#ledger.setOwn(transaction, options);
          }
          return endWith(em, work);
        },
        { clear: true, signal, ...cancelling },
      );
    } catch (error) {
      throw guard ? guard.explain(error) : error;
    }
  }

  current(): PendingEvents | undefined {
    const transaction = this.orm.em.getTransactionContext<object>();
    if (!transaction || transaction === ENDED_TRANSACTION || !this.#isListening) return undefined;
    const pending = this.#ledger.pendingOf(transaction);
    return pending.isClosed ? undefined : pending;
  }

  /** Ours, and those of other databases that the request's context already has: a new context replaces the whole old one. */
  private entityManagers(): EntityManager | EntityManager[] {
    const { em } = this.orm;
    const outer = RequestContext.currentRequestContext();
    return outer ? [em, ...[...outer.map.values()].filter(({ name }) => name !== em.name)] : em;
  }
}
