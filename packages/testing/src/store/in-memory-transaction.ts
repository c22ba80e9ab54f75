import { PendingEvents, type OutboxEntry } from '@cqrs-outbox/core';

/** An open transaction or, with a parent, a savepoint in one. */
export class InMemoryTransaction {
  readonly pending: PendingEvents;
  /** What `insert` was given, in an outermost transaction: it appears in the database at the commit. */
  readonly inserted: OutboxEntry[] = [];
  /** Resolves when it has committed, was released, or was rolled back. */
  readonly ended: Promise<void>;
  #undo: (() => void)[] = [];
  #isOpen = true;
  #resolveEnded: () => void = () => undefined;

  constructor(readonly parent?: InMemoryTransaction) {
    this.pending = parent?.pending.openSavepoint() ?? new PendingEvents();
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get isOpen(): boolean {
    return this.#isOpen && (this.parent?.isOpen ?? true);
  }

  get outermost(): InMemoryTransaction {
    return this.parent?.outermost ?? this;
  }

  onRollback(undo: () => void): void {
    this.#undo.push(undo);
  }

  commit(): void {
    this.end();
  }

  /** A savepoint's success: what it has done now belongs to what is around it; its pending events do so already. */
  release(): void {
    for (const undo of this.#undo) this.parent?.onRollback(undo);
    this.end();
  }

  rollBack(): void {
    this.pending.clear();
    for (const undo of this.#undo.reverse()) undo();
    this.end();
  }

  private end(): void {
    this.#undo = [];
    this.#isOpen = false;
    this.#resolveEnded();
  }
}
