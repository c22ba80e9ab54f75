import { AsyncLocalStorage } from 'node:async_hooks';
import { EndedTransactionError } from './ended-transaction.js';

/** What says whether a transaction is over. */
interface Ending {
  readonly isEnding: boolean;
}

/** The work of a transaction, or of a part of it, and all that it has called: told by the asynchronous context. */
export class TransactionScope {
  static readonly #storage = new AsyncLocalStorage<TransactionScope>();
  #isOver = false;

  constructor(private readonly transaction: Ending) {}

  /**
   * To be called for a statement on the connection of a transaction, in the context of whoever sends it.
   *
   * @throws {@link EndedTransactionError} for what the work of that transaction, or a part of it, has left running: it would
   *   become a part of what comes next on the connection
   */
  static refuseLate(transaction: Ending): void {
    const scope = TransactionScope.#storage.getStore();
    if (scope && scope.transaction === transaction && (scope.#isOver || transaction.isEnding))
      throw new EndedTransactionError();
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return TransactionScope.#storage.run(this, work);
  }

  /** Before the transaction itself ends. */
  end(): void {
    this.#isOver = true;
  }
}
