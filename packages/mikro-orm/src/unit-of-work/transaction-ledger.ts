import { PendingEvents, type OutboxEntry } from '@cqrs-outbox/core';

/** What belongs to each open transaction and savepoint, by the driver's transaction object. It forgets by itself. */
export class TransactionLedger {
  readonly #pending = new WeakMap<object, PendingEvents>();
  readonly #inserted = new WeakMap<object, readonly OutboxEntry[]>();

  readonly #signals = new WeakMap<object, AbortSignal>();

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

  /** Says by what the transaction is told to end before its time. */
  setSignal(transaction: object, signal: AbortSignal): void {
    this.#signals.set(transaction, signal);
  }

  signalOf(transaction: object): AbortSignal | undefined {
    return this.#signals.get(transaction);
  }
}
