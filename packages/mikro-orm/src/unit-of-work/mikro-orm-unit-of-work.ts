import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type PendingEvents,
  type RunPart,
  UnitOfWork,
  type TransactionHooks,
  type TransactionOptions,
} from '@cqrs-outbox/core';
import {
  EventType,
  RequestContext,
  TransactionContext,
  type TransactionEventBroadcaster,
  type EntityManager,
  type EventSubscriber,
  type MikroORM,
} from '@mikro-orm/core';
import type { OutboxTransaction } from '../schema/tables.js';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { endWith, ENDED_TRANSACTION, EndedTransactionError } from './ended-transaction.js';
import { maskSignal } from './mask-signal.js';
import { isSavepoint, OutboxSubscriber } from './outbox.subscriber.js';
import { SoleListener } from './sole-listener.js';
import { TransactionGuard } from './transaction-guard.js';
import { TransactionLedger } from './transaction-ledger.js';
import { TransactionPart } from './transaction-part.js';

/** A transaction that this unit of work has opened. */
interface OwnTransaction {
  readonly em: EntityManager;
  readonly transaction: object;
  readonly guard: TransactionGuard;
}

/** MikroORM's transactions as units of work: those of commands and of `em.transactional` alike. */
export class MikroOrmUnitOfWork extends UnitOfWork {
  readonly #ledger = new TransactionLedger();
  readonly #parts = new AsyncLocalStorage<TransactionPart>();
  /** There once the unit of work has its hooks. */
  #subscriber: OutboxSubscriber | undefined;
  readonly #listener = new SoleListener(() => this.#subscriber);

  constructor(
    private readonly orm: MikroORM,
    private readonly connection: OutboxConnection,
  ) {
    super();
  }

  setHooks(hooks: TransactionHooks): void {
    const subscriber = new OutboxSubscriber(hooks, this.#ledger, this.connection);
    this.#subscriber = subscriber;
    this.orm.em.getEventManager().registerSubscriber(subscriber);
    // For `em.fork({ freshEventManager: true })`, which takes the configured ones.
    this.orm.config.get<'subscribers', EventSubscriber[]>('subscribers').push(subscriber);
  }

  get hasContext(): boolean {
    const { em } = this.orm;
    return em.getContext(false) !== em || em.isInTransaction() || em.config.get('allowGlobalContext');
  }

  /** Settings of the session, for row-level security, are made at BEGIN. */
  get canBePart(): boolean {
    const { em } = this.orm;
    const context = em.getContext(false);
    return context === em || context.getSessionContext() === undefined;
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

  runInTransaction<T>(work: () => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.transact(work, options);
  }

  runInParts<T>(work: (runPart: RunPart) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.transact((own) => {
      if (!own) throw new TypeError('UnitOfWork.runInParts must be called outside of a transaction.');
      return work((part) => this.runPart(own, part, options));
    }, options);
  }

  current(): PendingEvents | undefined {
    const transaction = this.orm.em.getTransactionContext<object>();
    if (!transaction || transaction === ENDED_TRANSACTION || !this.#subscriber) return undefined;
    const pending = this.#ledger.pendingOf(transaction);
    return pending.isClosed ? undefined : pending;
  }

  /** @param work gets nothing in a savepoint */
  private async transact<T>(
    work: (own: OwnTransaction | undefined) => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    return await (this.canLeaveBegin
      ? this.transactOutside(work, options)
      : this.transactByMikroOrm(work, options));
  }

  private async transactByMikroOrm<T>(
    work: (own: OwnTransaction | undefined) => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    const { hasContext } = this;
    let own: OwnTransaction | undefined;
    try {
      return await this.orm.em.transactional(
        async (em) => {
          own = await this.own(em, options);
          // MikroORM gives the entities to the context around it, if there is one.
          if (own && !hasContext) this.#ledger.addContext(own.transaction, em);
          return endWith(em, () => work(own));
        },
        { clear: true, ...this.cancelling(options) },
      );
    } catch (error) {
      throw own ? own.guard.explain(error) : error;
    }
  }

  /** Whether BEGIN can go with the first statement: MikroORM would send settings of the session right behind it. */
  private get canLeaveBegin(): boolean {
    const { em } = this.orm;
    return (
      this.connection.oneTrip !== undefined &&
      !this.hasContext &&
      em.getSessionContext() === undefined &&
      !em.config.get('disableTransactions')
    );
  }

  /** What `em.transactional` does where there is no context around it, with BEGIN left for the first statement. */
  private async transactOutside<T>(
    work: (own: OwnTransaction) => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    const em = this.orm.em.fork({ clear: true, cloneEventManager: true, ...this.cancelling(options) });
    maskSignal(em);
    const events = this.#listener.transactionEvents(em);
    return await TransactionContext.create(em, async () => {
      const client = await this.connection.client();
      await events.dispatchEvent(EventType.beforeTransactionStart);
      const { signal } = options;
      const { transaction, guard } = await TransactionGuard.open(
        client,
        this.connection,
        this.#parts,
        signal,
      );
      try {
        // As MikroORM tells of its own.
        this.orm.config.getLogger().logQuery({ level: 'info', query: 'begin' });
        this.#ledger.setOwn(transaction, options, guard);
        this.#ledger.addContext(transaction, em);
        await events.dispatchEvent(EventType.afterTransactionStart, transaction);
        em.setTransactionContext(transaction);
        const result = await endWith(em, () => work({ em, transaction, guard }));
        const flushing = this.#listener.flush(em);
        if (flushing) await flushing;
        await this.connection.driver.commit(transaction, events);
        return result;
      } catch (error) {
        await this.rollBack(transaction, events);
        throw guard.explain(error);
      }
    });
  }

  /** Its failure must not hide why it is rolled back. */
  private async rollBack(transaction: OutboxTransaction, events: TransactionEventBroadcaster): Promise<void> {
    try {
      await this.connection.driver.rollback(transaction, events);
    } catch (error) {
      this.orm.config.getLogger().warn('query', `Failed to roll back transaction: ${String(error)}`);
    }
  }

  /** How MikroORM is told of the signal. */
  private cancelling({ signal }: TransactionOptions) {
    if (!signal || !this.connection.canCancel) return { signal };
    return { signal, inflightQueryAbortStrategy: 'cancel query' } as const;
  }

  private async own(em: EntityManager, options: TransactionOptions): Promise<OwnTransaction | undefined> {
    const transaction = em.getTransactionContext<object>();
    if (!transaction || isSavepoint(transaction)) return undefined;
    // The guard takes it; of a savepoint it knows nothing.
    maskSignal(em);
    const guard = await TransactionGuard.watch(transaction, this.connection, this.#parts, options.signal);
    this.#ledger.setOwn(transaction, options, guard);
    return { em, transaction, guard };
  }

  private async runPart<T>(
    { em: around, transaction, guard }: OwnTransaction,
    work: () => Promise<T>,
    options: TransactionOptions,
  ): Promise<T> {
    if (around.getTransactionContext<object>() !== transaction) throw new EndedTransactionError();
    // Its filters and its schema are those of the context that it is called in.
    const context = this.orm.em.getContext(false);
    const cancelling = this.cancelling(options);
    const em = context.fork({ cloneEventManager: true, disableContextResolution: true, ...cancelling });
    em.setTransactionContext(transaction);
    maskSignal(em);
    this.#ledger.addContext(transaction, em);
    const part = new TransactionPart(guard);
    const run = async (): Promise<T> => {
      const result = await work();
      const flushing = this.#listener.flush(em);
      if (flushing) await flushing;
      const completing = this.#subscriber?.completePart(em, transaction, options.signal);
      if (completing) await completing;
      await guard.endPart(part);
      return result;
    };
    try {
      return await this.#parts.run(part, () => TransactionContext.create(em, run));
    } finally {
      part.isOver = true;
      em.setTransactionContext(ENDED_TRANSACTION);
    }
  }

  /** Ours, and those of other databases that the request's context already has: a new context replaces the whole old one. */
  private entityManagers(): EntityManager | EntityManager[] {
    const { em } = this.orm;
    const outer = RequestContext.currentRequestContext();
    return outer ? [em, ...[...outer.map.values()].filter(({ name }) => name !== em.name)] : em;
  }
}
