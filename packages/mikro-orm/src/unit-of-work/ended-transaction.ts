import type { EntityManager } from '@mikro-orm/core';

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

/** Has what a nested transaction has left running fail: it would have its effect in the one around, which goes on. */
export function refuseStatements(savepoint: object): void {
  const refuse = (): never => {
    throw new EndedTransactionError();
  };
  for (const name of ['executeQuery', 'savepoint'])
    Reflect.defineProperty(savepoint, name, { value: refuse });
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

/** Waits for `work` until the signal is aborted, and throws its reason then. There may be nothing to wait for. */
export async function untilAborted(
  signal: AbortSignal | undefined,
  work: () => Promise<void> | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const working = work();
  if (!signal || !working) return working;
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
