import type { EntityManager } from '@mikro-orm/core';
import type { CompiledQuery } from 'kysely';
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

const IS_READ = /^\s*select\b/i;

/**
 * Has what the work of a transaction has left running fail at once: it would have its effect outside of any. A Kysely that was derived
 * from it, as by `withPlugin`, is not reached.
 */
export function refuseStatements(transaction: OutboxTransaction): void {
  override(transaction, ['executeQuery', 'savepoint'], refuse);
  override(transaction.getExecutor(), ['executeQuery', 'stream'], refuse);
}

/** The same for a nested one that is rolled back. What it has read may go on reading, in the transaction around. */
export function refuseWrites(savepoint: OutboxTransaction): void {
  override(savepoint, ['savepoint'], refuse);
  for (const target of [savepoint, savepoint.getExecutor()]) {
    const executeQuery = target.executeQuery.bind(target);
    const read = (query: CompiledQuery): Promise<unknown> =>
      IS_READ.test(query.sql) ? executeQuery(query) : refuse();
    override(target, ['executeQuery'], read);
  }
}

function refuse(): never {
  throw new EndedTransactionError();
}

function override(target: object, methods: readonly string[], method: (...args: never[]) => unknown): void {
  for (const name of methods) Reflect.defineProperty(target, name, { value: method, configurable: true });
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
