import { PendingEvents, type OutboxEntry, type TransactionOptions } from '@cqrs-outbox/core';

/** What belongs to each open transaction and savepoint, by the driver's transaction object. It forgets by itself. */
export class TransactionLedger {
  readonly #pending = new WeakMap<object, PendingEvents>();
  readonly #inserted = new WeakMap<object, readonly OutboxEntry[]>();

  readonly #own = new WeakMap<object, TransactionOptions>();

  pendingOf(transaction: object): PendingEvents {
    let pending = this.#pending.get(transaction);
    if (!pending) {
      pending = new PendingEvents();
      this.#pending.set(transaction, pending);
    }
    return pending;
  }

  openSavepoint(savepoint: object, parent: object): void {
    this.#pending.set(savepoint, this.pendingOf(parent).openSavepoint());
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
}
