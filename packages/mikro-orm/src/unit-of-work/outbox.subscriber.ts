import {
  AggregateRoot,
  type CommittingTransaction,
  type OutboxEntry,
  type TransactionHooks,
} from '@cqrs-outbox/core';
import { TransactionContext } from '@mikro-orm/core';
import type {
  EntityManager,
  EventSubscriber,
  FlushEventArgs,
  TransactionEventArgs as MikroOrmTransactionEventArgs,
} from '@mikro-orm/core';
import type { CompiledQuery } from 'kysely';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { ENDED_TRANSACTION, EndedTransactionError, refuseWrites, untilAborted } from './ended-transaction.js';
import { EntryInserter } from './entry-inserter.js';
import { handOver } from './hand-over.js';
import { KnownAggregates } from './known-aggregates.js';
import { lockKeys } from './lock-keys.js';
import type { TransactionLedger } from './transaction-ledger.js';

/** MikroORM types the driver's transaction as `any`. */
type TransactionEventArgs = Omit<MikroOrmTransactionEventArgs, 'transaction'> & { transaction?: object };

/**
 * Listens to MikroORM's transactions, whoever opened them.
 *
 *   outermost:  begin ... beforeTransactionCommit: hooks.beforeCommit, INSERT -> COMMIT -> hooks.afterCommit
 *   savepoint:  begin ... released: what it appended stays in the pending events of the transaction around it
 *                     \-- rolled back: what it appended, and what its aggregates recorded, is dropped
 *
 * MikroORM tells of a savepoint's rollback on every database, but of its release not on MySQL: hence that order.
 */
export class OutboxSubscriber implements EventSubscriber {
  readonly #aggregates = new KnownAggregates();
  readonly #inserter: EntryInserter;
  /** The transaction around the savepoint that an entity manager is about to open. */
  readonly #opening = new WeakMap<EntityManager, object>();
  /** Entity managers in the middle of a flush: a commit then is that flush's own. */
  readonly #flushing = new WeakSet<EntityManager>();

  constructor(
    private readonly hooks: TransactionHooks,
    private readonly ledger: TransactionLedger,
    private readonly connection: OutboxConnection,
  ) {
    this.#inserter = new EntryInserter(connection.dialect);
  }

  beforeFlush({ em }: FlushEventArgs): void {
    this.#flushing.add(em);
  }

  onFlush({ em, uow }: FlushEventArgs): void {
    this.#aggregates.noteDeleted(em, uow);
  }

  afterFlush({ em }: FlushEventArgs): void {
    this.#flushing.delete(em);
    const transaction = em.getTransactionContext<object>();
    // The last flush of a savepoint is the last that is heard of its entity manager.
    if (transaction) this.hooks.collect(this.committing(em, transaction));
  }

  beforeTransactionStart({ em, transaction }: TransactionEventArgs): void {
    if (transaction) this.#opening.set(em, transaction);
  }

  afterTransactionStart({ em, transaction }: TransactionEventArgs): void {
    const parent = this.#opening.get(em);
    if (!isSavepoint(transaction) || !parent) return;
    this.#opening.delete(em);
    // What was recorded before the savepoint survives its rollback.
    this.hooks.collect(this.committing(em, parent));
    this.ledger.openSavepoint(transaction, parent, em);
  }

  async beforeTransactionCommit({ em, transaction }: TransactionEventArgs): Promise<void> {
    if (!transaction || isSavepoint(transaction)) return;
    const committing = this.committing(em, transaction);
    const own = this.ledger.ownOptionsOf(transaction);
    try {
      // Handlers of domain events may hang too.
      const working = untilAborted(own?.signal, () => this.hooks.beforeCommit(committing));
      if (working) await working;
    } catch (error) {
      // Who has opened the transaction by hand rolls it back by the same entity manager.
      if (own) em.setTransactionContext(ENDED_TRANSACTION);
      throw error;
    }
    this.ledger.endSavepoints(transaction);
    this.ledger.guardOf(transaction)?.allowEnd();
  }

  /** At the end of one of several pieces of work that share a transaction. */
  completePart(
    em: EntityManager,
    transaction: object,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined {
    return untilAborted(signal, () => this.hooks.completePart(this.committing(em, transaction)));
  }

  afterTransactionCommit({ em, transaction }: TransactionEventArgs): Promise<void> | undefined {
    if (!transaction || isSavepoint(transaction)) return undefined;
    this.#aggregates.forgetDeleted(em);
    this.ledger.ownOptionsOf(transaction)?.onCommitted?.();
    const pending = this.ledger.pendingOf(transaction);
    if (pending.hasDeferred) this.ledger.contextsOf(transaction).forEach(handOver);
    return this.hooks.afterCommit({
      pending,
      inserted: this.ledger.insertedIn(transaction),
      // Of this very entity manager, which need not be the one of the context: the filters and the schema are its own.
      runOutside: (work) =>
        TransactionContext.create(em.fork({ clear: true, disableContextResolution: true }), work),
    });
  }

  beforeTransactionRollback({ transaction }: TransactionEventArgs): void {
    if (!transaction) return;
    if (isSavepoint(transaction)) {
      if (this.ledger.hasEnded(transaction)) throw new EndedTransactionError();
      refuseWrites(this.connection.asTransaction(transaction));
    }
    this.ledger.end(transaction);
    this.ledger.guardOf(transaction)?.allowEnd();
  }

  afterTransactionRollback({ em, transaction }: TransactionEventArgs): void {
    this.#flushing.delete(em);
    for (const aggregate of this.#aggregates.of(em)) AggregateRoot.takeRecorded(aggregate);
    this.#aggregates.forgetDeleted(em);
    if (transaction) this.ledger.pendingOf(transaction).clear();
  }

  private committing(em: EntityManager, transaction: object): CommittingTransaction {
    return {
      pending: this.ledger.pendingOf(transaction),
      aggregates: () => this.#aggregates.of(em),
      run: (work) => TransactionContext.create(em, work),
      flush: () => em.flush(),
      canFlush: !this.#flushing.has(em),
      lockKeys: (keys) => lockKeys(this.connection.asTransaction(transaction), this.connection.dialect, keys),
      insert: (entries) => this.insert(transaction, entries),
    };
  }

  private insert(transaction: object, entries: readonly OutboxEntry[]): Promise<void> | undefined {
    const statements = this.#inserter.statementsOf(entries);
    const last = statements.at(-1);
    const isLeft = last && this.ledger.guardOf(transaction)?.leaveToCommit(last);
    this.ledger.recordInserted(transaction, entries);
    const toSend = isLeft ? statements.slice(0, -1) : statements;
    return toSend.length > 0 ? this.send(transaction, toSend) : undefined;
  }

  private async send(transaction: object, statements: readonly CompiledQuery[]): Promise<void> {
    const kysely = this.connection.asTransaction(transaction);
    for (const statement of statements) await kysely.executeQuery(statement);
  }
}

export function isSavepoint(
  transaction: object | undefined,
): transaction is object & { savepointName: string } {
  return transaction !== undefined && 'savepointName' in transaction;
}
