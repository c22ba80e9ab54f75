import type { AggregateRoot } from '../messages/aggregate-root.js';
import type { OutboxEntry } from '../outbox/outbox-entry.js';
import type { PendingEvents } from './pending-events.js';

/** What a store offers of a transaction that is about to commit. */
export interface CommittingTransaction {
  readonly pending: PendingEvents;
  /** The aggregates that the transaction's persistence context knows. */
  aggregates(): Iterable<AggregateRoot>;
  /** Runs `work` with this transaction as the current one, which it need not be where it was begun by hand. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Writes entity changes, still inside the transaction. */
  flush(): Promise<void>;
  /** False while the store is itself in the middle of a flush, so that domain events can't be handled now. */
  readonly canFlush: boolean;
  /**
   * Locks keys until the end of the transaction, in an order that is the same for all, so that two transactions that do
   * so can't deadlock. Others that lock one of the keys wait.
   */
  lockKeys(keys: readonly string[]): Promise<void>;
  /**
   * Writes all entries with one multi-row INSERT (and delayed ones with another), inside the transaction. No promise is returned where it
   * goes together with COMMIT, which fails then if it does.
   */
  insert(entries: readonly OutboxEntry[]): Promise<void> | undefined;
}

/** What a store offers of a transaction that has committed. */
export interface CommittedTransaction {
  /** The one that `beforeCommit` got. */
  readonly pending: PendingEvents;
  /** What was written with it. */
  readonly inserted: readonly OutboxEntry[];
  /**
   * Runs `work` in a fresh persistence context outside of this transaction, and of any other that may be open around it:
   * none is current there, and a transaction that is opened there is one of its own.
   */
  runOutside<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * What the library does at the ends of each outermost transaction of the store. Where there is nothing to wait for, no promise is
 * returned, and an error is thrown at once.
 */
export interface TransactionHooks {
  /** At each flush, and before a savepoint: moves what aggregates have recorded into the pending events. */
  collect(transaction: CommittingTransaction): void;
  /**
   * At the end of a part of {@link UnitOfWork.runInParts}, in its asynchronous context: handles the domain events that it has
   * recorded. What it throws, or rejects with, rolls the transaction back.
   */
  completePart(transaction: CommittingTransaction): Promise<void> | undefined;
  /** As the last thing before COMMIT; what it throws, or rejects with, rolls the transaction back. */
  beforeCommit(transaction: CommittingTransaction): Promise<void> | undefined;
  /**
   * After COMMIT, when the transaction's connection is free again. The store waits for it before whoever has committed
   * goes on. It does not fail.
   */
  afterCommit(transaction: CommittedTransaction): Promise<void> | undefined;
}

/** How a transaction is to run. */
export interface TransactionOptions {
  /**
   * When it is aborted, the transaction is not wanted any more: statements in flight may be cancelled, and further ones
   * are refused, with the signal's reason. `work` is still what ends it.
   */
  readonly signal?: AbortSignal;
  /** Called after COMMIT of the outermost transaction, before its after-commit handlers run; it does not throw. */
  readonly onCommitted?: () => void;
}

/** Runs one part of a transaction that has several, one after another: see {@link UnitOfWork.runInParts}. */
export type RunPart = <T>(part: () => Promise<T>) => Promise<T>;

/**
 * Port: the transactions of the store. A store calls the hooks for every outermost transaction of its database,
 * whoever opened it, so that an append works in a command as in the user's own transaction.
 */
export abstract class UnitOfWork {
  /** Called once, when the module is constructed. */
  abstract setHooks(hooks: TransactionHooks): void;

  /** Whether there is a persistence context already here, or a transaction, be it one that is over. */
  abstract get hasContext(): boolean;

  /** Whether work that is called here may be a part of a transaction that was begun elsewhere: see {@link runInParts}. */
  abstract get canBePart(): boolean;

  /**
   * Runs `work` in a fresh persistence context. Inside a transaction the context is fresh too, but reads through the
   * transaction: another connection would not see its writes, and a database with one connection would lock up.
   */
  abstract runInContext<T>(work: () => Promise<T>): Promise<T>;

  /**
   * Runs `work` in a transaction of its own, in a fresh context; commits when it resolves and rolls back when it
   * rejects. Inside a transaction it is a savepoint. What `work` has left running when it rejects must reach neither
   * this transaction nor the next one of its connection.
   */
  abstract runInTransaction<T>(work: () => Promise<T>, options?: TransactionOptions): Promise<T>;

  /**
   * Runs `work` in a transaction as {@link runInTransaction} does, to be called outside of any. `work` does all that it does
   * by the function that it gets, which can be called in any asynchronous context where {@link canBePart} is true, and runs each
   * part in a fresh persistence context of this transaction, with what is set in the context that it is called in. When a part
   * resolves, its changes are written and its domain events handled; when one rejects, `work` must too. What a part has left
   * running reaches the database no more.
   */
  abstract runInParts<T>(work: (runPart: RunPart) => Promise<T>, options?: TransactionOptions): Promise<T>;

  /**
   * The pending events of the innermost open transaction or savepoint. Undefined when none is open, before `setHooks`,
   * and once they are closed: for work that goes on after the end of its transaction.
   */
  abstract current(): PendingEvents | undefined;
}
