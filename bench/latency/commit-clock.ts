import type { EventSubscriber } from '@mikro-orm/core';

/** Notes when COMMIT has returned: before the outbox hears of it, and before `em.transactional` itself returns. */
export class CommitClock implements EventSubscriber {
  #committedAt = Number.NaN;

  /** By `performance.now()`. */
  get committedAt(): number {
    return this.#committedAt;
  }

  afterTransactionCommit(): void {
    this.#committedAt = performance.now();
  }
}
