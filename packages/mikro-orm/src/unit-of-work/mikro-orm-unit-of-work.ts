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
import { transactDetached } from './detached-transaction.js';
import { endWith, ENDED_TRANSACTION, EndedTransactionError } from './ended-transaction.js';
import { isSavepoint, OutboxSubscriber } from './outbox.subscriber.js';
import { TransactionGuard } from './transaction-guard.js';
import { TransactionLedger } from './transaction-ledger.js';

/** MikroORM's transactions as units of work: those of commands and of `em.transactional` alike. */
export class MikroOrmUnitOfWork extends UnitOfWork {
  readonly #ledger = new TransactionLedger();
  /** Contexts that {@link runInContext} has made. */
  readonly #contexts = new WeakSet<RequestContext>();
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
    if (!ofTransaction && !em.isInTransaction())
      return RequestContext.create(this.entityManagers(), () => {
        this.#contexts.add(RequestContext.currentRequestContext() as RequestContext);
        return work();
      });
    // Or what a handler does that was given up would commit in a transaction of its own, and again at the next try.
    if (ofTransaction?.getTransactionContext<object>() === ENDED_TRANSACTION)
      return Promise.reject(new EndedTransactionError());
    // Work that goes on after the end of its transaction still finds it in its context, and must leave it.
    const keepTransactionContext = this.current() !== undefined;
    return TransactionContext.create(em.fork({ clear: true, keepTransactionContext }), work);
  }

  runInTransaction<T>(work: () => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { em } = this.orm;
    const isInTransaction = em.isInTransaction();
    const context = RequestContext.currentRequestContext();
    if (
      isInTransaction ||
      TransactionContext.getEntityManager(em.name) ||
      (context && this.#contexts.has(context))
    ) {
      // The guard of the transaction around a savepoint knows nothing of its signal.
      const forSavepoint = isInTransaction ? this.cancelling(options) : {};
      return this.transact((run) => em.transactional(run, { clear: true, ...forSavepoint }), work, options);
    }
    // The context of a request must not get to know what is loaded here.
    if (context) return this.runInContext(() => this.runInTransaction(work, options));
    return this.transact((run) => transactDetached(em, run), work, options);
  }

  current(): PendingEvents | undefined {
    const transaction = this.orm.em.getTransactionContext<object>();
    if (!transaction || transaction === ENDED_TRANSACTION || !this.#isListening) return undefined;
    const pending = this.#ledger.pendingOf(transaction);
    return pending.isClosed ? undefined : pending;
  }

  private async transact<T>(
    open: (run: (em: EntityManager) => Promise<T>) => Promise<T>,
    work: () => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    let guard: TransactionGuard | undefined;
    try {
      return await open(async (em) => {
        const transaction = em.getTransactionContext<object>();
        if (transaction && !isSavepoint(transaction)) {
          guard = await TransactionGuard.watch(transaction, this.connection, options.signal);
          this.#ledger.setOwn(transaction, { options, guard });
        }
        return endWith(em, work, options.signal);
      });
    } catch (error) {
      throw guard ? guard.explain(error) : error;
    }
  }

  /** SQLite can't cancel a statement, and doesn't wait in one either. */
  private cancelling({ signal }: TransactionOptions) {
    if (!signal || this.connection.dialect === 'sqlite') return { signal };
    return { signal, inflightQueryAbortStrategy: 'cancel query' } as const;
  }

  /** Ours, and those of other databases that the request's context already has: a new context replaces the whole old one. */
  private entityManagers(): EntityManager | EntityManager[] {
    const { em } = this.orm;
    const outer = RequestContext.currentRequestContext();
    return outer ? [em, ...[...outer.map.values()].filter(({ name }) => name !== em.name)] : em;
  }
}
