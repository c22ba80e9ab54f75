import type { TransactionGuard } from './transaction-guard.js';

/**
 * One of several pieces of work that share a transaction. The asynchronous context carries it, and so it is known of each
 * statement which of them sends it, by whatever way.
 */
export class TransactionPart {
  /** Whether its work has ended: what it has left running would become a part of what comes next. */
  isOver = false;

  constructor(readonly guard: TransactionGuard) {}
}
