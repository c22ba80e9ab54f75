import { PendingEvents, type OutboxEntry, type TransactionOptions } from '@cqrs-outbox/core';
import type { EntityManager } from '@mikro-orm/core';
import { ENDED_TRANSACTION, EndedTransactionError } from './ended-transaction.js';

/** A nested transaction, and the entity manager that works in it: as long as somebody does. */
interface Savepoint {
  readonly savepoint: WeakRef<object>;
  readonly em: WeakRef<EntityManager>;
}

/** What belongs to each open transaction and savepoint, by the driver's transaction object. It forgets by itself. */
export class TransactionLedger {
  readonly #pending = new WeakMap<object, PendingEvents>();
  readonly #inserted = new WeakMap<object, readonly OutboxEntry[]>();
  readonly #own = new WeakMap<object, TransactionOptions>();
  /** Those of an outermost transaction, by each of them and by itself. */
  readonly #savepoints = new WeakMap<object, Savepoint[]>();
  readonly #ended = new WeakSet<object>();
  readonly #contexts = new WeakMap<object, EntityManager[]>();

  pendingOf(transaction: object): PendingEvents {
    let pending = this.#pending.get(transaction);
    if (!pending) {
      pending = new PendingEvents();
      this.#pending.set(transaction, pending);
    }
    return pending;
  }

  openSavepoint(savepoint: object, parent: object, em: EntityManager): void {
    this.#pending.set(savepoint, this.pendingOf(parent).openSavepoint());
    const all = this.#savepoints.get(parent) ?? [];
    all.push({ savepoint: new WeakRef(savepoint), em: new WeakRef(em) });
    this.#savepoints.set(parent, all).set(savepoint, all);
  }

  /**
   * The transaction around them is about to end. A nested transaction that was left running would go on with the connection,
   * whoever has that by then: the driver does not know that it has ended.
   */
  endSavepoints(transaction: object): void {
    for (const { savepoint: ofSavepoint, em } of this.#savepoints.get(transaction)?.splice(0) ?? []) {
      em.deref()?.setTransactionContext(ENDED_TRANSACTION);
      const savepoint = ofSavepoint.deref();
      if (!savepoint) continue;
      this.#ended.add(savepoint);
      // MikroORM looks at it before it sends the end of a savepoint, and tells nobody of that on MySQL.
      Reflect.defineProperty(savepoint, 'isRolledBack', {
        get() {
          throw new EndedTransactionError();
        },
      });
    }
  }

  /** Whether the transaction around a savepoint has ended. */
  hasEnded(savepoint: object): boolean {
    return this.#ended.has(savepoint);
  }

  recordInserted(transaction: object, entries: readonly OutboxEntry[]): void {
    this.#inserted.set(transaction, entries);
  }

  insertedIn(transaction: object): readonly OutboxEntry[] {
    return this.#inserted.get(transaction) ?? [];
  }

  /** Says that the unit of work has opened the transaction, and how it is to run. */
  setOwn(transaction: object, options: TransactionOptions): void {
    this.#own.set(transaction, options);
  }

  /** Undefined for a transaction that user code has opened, and ends by itself. */
  ownOptionsOf(transaction: object): TransactionOptions | undefined {
    return this.#own.get(transaction);
  }

  /** Notes a persistence context of the transaction whose entities go nowhere else at its end. */
  addContext(transaction: object, em: EntityManager): void {
    const contexts = this.#contexts.get(transaction) ?? [];
    contexts.push(em);
    this.#contexts.set(transaction, contexts);
  }

  contextsOf(transaction: object): readonly EntityManager[] {
    return this.#contexts.get(transaction) ?? [];
  }
}
