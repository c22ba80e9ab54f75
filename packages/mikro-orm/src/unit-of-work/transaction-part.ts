import { TransactionContext, type EntityManager } from '@mikro-orm/core';
import { handOver } from './detached-transaction.js';
import { endWith, ENDED_TRANSACTION, untilAborted } from './ended-transaction.js';
import type { TransactionGuard } from './transaction-guard.js';
import { TransactionScope } from './transaction-scope.js';

/** One of several pieces of work that share a transaction, one after another, each with a persistence context of its own. */
export class TransactionPart {
  readonly #scope: TransactionScope;

  constructor(
    private readonly em: EntityManager,
    private readonly guard: TransactionGuard,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#scope = new TransactionScope(guard);
  }

  /**
   * @param complete what comes when `work` has resolved and its changes are written
   * @throws what `work` and `complete` throw, and for a statement that has ended the transaction, or nested work that goes on:
   *   the transaction must then be rolled back
   */
  run<T>(work: () => Promise<T>, complete: (em: EntityManager) => Promise<void>): Promise<T> {
    const em = this.em.fork({ keepTransactionContext: true, disableContextResolution: true });
    const runAll = (): Promise<T> => endWith(em, () => this.runAll(em, work, complete), this.signal);
    return this.#scope.run(() => TransactionContext.create(em, runAll));
  }

  private async runAll<T>(
    em: EntityManager,
    work: () => Promise<T>,
    complete: (em: EntityManager) => Promise<void>,
  ): Promise<T> {
    try {
      const result = await work();
      await em.flush();
      // Handlers of domain events may hang.
      await untilAborted(this.signal, () => complete(em));
      await this.guard.verify();
      handOver(em, this.em);
      return result;
    } finally {
      this.#scope.end();
      em.setTransactionContext(ENDED_TRANSACTION);
    }
  }
}
