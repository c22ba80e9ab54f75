import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { PendingEvents } from '../../unit-of-work/pending-events.js';
import { UnitOfWork, type RunPart, type TransactionOptions } from '../../unit-of-work/unit-of-work.js';
import { BatchRolledBackError } from './batch-rolled-back.error.js';
import { InboxBatches } from './inbox-batches.js';

const never = (): Promise<never> => new Promise(() => undefined);
const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Transactions that do nothing but run their parts; there is none inside of another, be it over. */
class ScriptedUnitOfWork extends UnitOfWork {
  readonly #current = new AsyncLocalStorage<true>();
  begin = async (): Promise<void> => undefined;
  afterCommit = async (): Promise<void> => undefined;
  /** How many parts each transaction has run to their end. */
  readonly sizes: number[] = [];

  readonly hasContext = false;
  readonly canBePart = true;

  setHooks(): void {}
  runInContext<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  runInTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
  async runInParts<T>(work: (runPart: RunPart) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    if (this.#current.getStore()) throw new Error('It is begun inside of another.');
    return this.#current.run(true, () => this.transact(work, options));
  }
  private async transact<T>(
    work: (runPart: RunPart) => Promise<T>,
    { onCommitted }: TransactionOptions,
  ): Promise<T> {
    await this.begin();
    let size = 0;
    const result = await work(async (part) => {
      const done = await part();
      size++;
      return done;
    });
    this.sizes.push(size);
    onCommitted?.();
    await this.afterCommit();
    return result;
  }
  current(): PendingEvents | undefined {
    return undefined;
  }
}

describe('handlers that wait for a batch', () => {
  let unitOfWork: ScriptedUnitOfWork;

  const createBatches = (handlerTimeoutMs: number, maxTransactions = 2): InboxBatches => {
    return new InboxBatches(unitOfWork, { maxMessages: 10, maxTransactions }, handlerTimeoutMs);
  };

  beforeEach(() => {
    jest.useFakeTimers();
    unitOfWork = new ScriptedUnitOfWork();
  });
  afterEach(() => void jest.useRealTimers());

  it('share one transaction, and the next takes those that have come meanwhile', async () => {
    const batches = createBatches(10_000);
    const handling = [1, 2, 3].map((result) =>
      batches.together('a handler', async () => after(10).then(() => result)),
    );
    await jest.advanceTimersByTimeAsync(100);
    expect(await Promise.all(handling)).toEqual([1, 2, 3]);
    expect(unitOfWork.sizes).toEqual([3]);
  });

  it('go on in a batch that is begun outside of the one before, at the end of it', async () => {
    const batches = createBatches(10_000, 1);
    const handling = Array.from({ length: 25 }, (_, index) =>
      batches.together('a handler', async () => index),
    );
    await jest.advanceTimersByTimeAsync(1);
    expect(await Promise.all(handling)).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(unitOfWork.sizes).toEqual([10, 10, 5]);
  });

  it('are handled alone, and a warning says so, when no transaction can be begun', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    unitOfWork.begin = () => Promise.reject(new Error('no connection'));
    const batches = createBatches(10_000, 1);
    const handling = ['a', 'b'].map(() => batches.together('a handler', async () => undefined));
    const settled = Promise.allSettled(handling);
    await jest.advanceTimersByTimeAsync(1);
    const reason = expect.any(BatchRolledBackError);
    expect(await settled).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    expect(warn.mock.calls).toEqual([
      ['Messages are handled alone (2), since their batch could not be begun: no connection'],
    ]);
    warn.mockRestore();
  });

  it('get another beside one that is old, in which a handler hangs', async () => {
    const batches = createBatches(10_000);
    const hanging = batches.together('a handler', never);
    const lost = expect(hanging).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' });
    await jest.advanceTimersByTimeAsync(1);
    const others = Promise.all([
      batches.together('a handler', async () => 'a'),
      batches.together('a handler', async () => 'b'),
    ]);
    let done: unknown;
    void others.then((results) => (done = results));
    await jest.advanceTimersByTimeAsync(400);
    expect(done).toEqual(['a', 'b']);
    // The limit of the batch, and what its rollback may take.
    await jest.advanceTimersByTimeAsync(30_000);
    await lost;
  });

  it('do not wait for what others do after their commit', async () => {
    const batches = createBatches(10_000, 1);
    unitOfWork.afterCommit = never;
    void batches.together('a handler', async () => 'first');
    await jest.advanceTimersByTimeAsync(1);
    unitOfWork.afterCommit = async () => undefined;
    expect(await batches.together('a handler', async () => 'second')).toBe('second');
  });

  it('do not wait for what one that is alone does after its commit', async () => {
    const batches = createBatches(10_000, 1);
    void batches.alone(async (onCommitted) => {
      onCommitted();
      await never();
    });
    await jest.advanceTimersByTimeAsync(1);
    expect(await batches.together('a handler', async () => 'second')).toBe('second');
    // Its turn was given back once: two that are alone are not alone at the same time.
    let running = 0;
    let most = 0;
    const run = async (onCommitted: () => void): Promise<void> => {
      most = Math.max(most, ++running);
      await after(10);
      running--;
      onCommitted();
    };
    const all = Promise.all([batches.alone(run), batches.alone(run), batches.alone(run)]);
    await jest.advanceTimersByTimeAsync(100);
    await all;
    expect(most).toBe(1);
  });

  it('are taken for half of the time limit only, so that the last has as much again', async () => {
    const batches = createBatches(200);
    const handling = Array.from({ length: 5 }, () => batches.together('a handler', () => after(45)));
    const settled = Promise.allSettled(handling);
    await jest.advanceTimersByTimeAsync(30_000);
    expect((await settled).map(({ status }) => status)).toEqual(Array(5).fill('fulfilled'));
    expect(unitOfWork.sizes).toEqual([3, 2]);
  });

  it('are told that they were not begun, when the transaction takes longer to begin than all may last', async () => {
    const batches = createBatches(200);
    unitOfWork.begin = () => after(250);
    const handle = jest.fn(async () => undefined);
    const error: Promise<unknown> = batches.together('a handler', handle).catch((reason: unknown) => reason);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await error).toBeInstanceOf(BatchRolledBackError);
    expect(handle).not.toHaveBeenCalled();
  });
});
