import type { EntityManager } from '@mikro-orm/core';
import type { OutboxTransaction } from '../schema/tables.js';

/** Work goes on whose transaction has ended, or is about to, and it gets no other. */
export class EndedTransactionError extends Error {
  constructor() {
    super('Its transaction has ended: this was done too late, and has no effect.');
    this.name = EndedTransactionError.name;
  }
}

/** In place of a transaction that is being rolled back: whatever uses it fails. */
export const ENDED_TRANSACTION: object = new Proxy(Object.freeze({}), {
  get() {
    throw new EndedTransactionError();
  },
});

/**
 * Has what the work of a transaction, or a nested one, has left running fail at once, by whatever way of Kysely's: it would have its
 * effect in the transaction around, which goes on, or outside of any.
 */
export function refuseStatements(transaction: OutboxTransaction): void {
  const refuse = (): never => {
    throw new EndedTransactionError();
  };
  for (const name of ['executeQuery', 'savepoint'])
    Reflect.defineProperty(transaction, name, { value: refuse });
  const executor = transaction.getExecutor();
  for (const name of ['executeQuery', 'stream']) Reflect.defineProperty(executor, name, { value: refuse });
}

/** Has the end of a nested transaction fail before it is sent. MikroORM looks at this, and tells nobody of a release on MySQL. */
export function refuseRelease(savepoint: object): void {
  Reflect.defineProperty(savepoint, 'isRolledBack', {
    get() {
      throw new EndedTransactionError();
    },
  });
}

/**
 * What `work` has left running must not use the connection while ROLLBACK is on its way: what is sent behind it takes
 * effect at once, outside of any transaction.
 */
export async function endWith<T>(em: EntityManager, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    em.setTransactionContext(ENDED_TRANSACTION);
    throw error;
  }
}

/** Waits for `work` until the signal is aborted, and throws its reason then. @returns nothing when there is nothing to wait for */
export function untilAborted(
  signal: AbortSignal | undefined,
  work: () => Promise<void> | undefined,
): Promise<void> | undefined {
  signal?.throwIfAborted();
  const working = work();
  return signal && working ? orAborted(working, signal) : working;
}

async function orAborted(working: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    // The work may have aborted it by itself.
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([working, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
