import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { PendingEvents } from '../../unit-of-work/pending-events.js';
import { UnitOfWork, type RunPart, type TransactionOptions } from '../../unit-of-work/unit-of-work.js';
import type { InboxPair, InboxStore } from '../inbox-store.js';
import { BatchRolledBackError } from './batch-rolled-back.error.js';
import { InboxBatches } from './inbox-batches.js';

const never = (): Promise<never> => new Promise(() => undefined);
const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Transactions that do nothing but run their parts; there is none inside of another, be it over. */
class ScriptedUnitOfWork extends UnitOfWork {
  readonly #current = new AsyncLocalStorage<true>();
  begin = async (): Promise<void> => undefined;
  endPart = async (): Promise<void> => undefined;
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
      await this.endPart();
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

const TWO_LOST_TWO_DONE = ['rejected', 'rejected', 'fulfilled', 'fulfilled'];

let messages = 0;
const nextPair = (): InboxPair => ({ messageId: `message ${++messages}`, handler: 'a handler' });

describe('handlers that wait for a batch', () => {
  let unitOfWork: ScriptedUnitOfWork;
  /** How many inbox rows were recorded together, each time. */
  let recorded: number[];
  let record: (pairs: readonly InboxPair[]) => Promise<boolean[]>;
  let forgotten: string[];
  const inbox = {
    forget: async (pairs) => {
      forgotten.push(...pairs.map(({ messageId }) => messageId));
    },
    recordAll: (pairs) => {
      recorded.push(pairs.length);
      return record(pairs);
    },
  } as Partial<InboxStore> as InboxStore;

  const createBatches = (handlerTimeoutMs: number, maxTransactions = 2): InboxBatches => {
    return new InboxBatches(unitOfWork, inbox, { maxMessages: 10, maxTransactions }, handlerTimeoutMs);
  };

  beforeEach(() => {
    jest.useFakeTimers();
    unitOfWork = new ScriptedUnitOfWork();
    recorded = [];
    forgotten = [];
    record = async (pairs) => pairs.map(() => true);
  });
  afterEach(() => void jest.useRealTimers());

  it('share one transaction, and the next takes those that have come meanwhile', async () => {
    const batches = createBatches(10_000);
    const handling = [1, 2, 3].map((result) =>
      batches.together(nextPair(), async () => after(10).then(() => result)),
    );
    await jest.advanceTimersByTimeAsync(100);
    expect(await Promise.all(handling)).toEqual([1, 2, 3]);
    expect(unitOfWork.sizes).toEqual([3]);
  });

  it('go on in a batch that is begun outside of the one before, at the end of it', async () => {
    const batches = createBatches(10_000, 1);
    const handling = Array.from({ length: 25 }, (_, index) =>
      batches.together(nextPair(), async () => index),
    );
    await jest.advanceTimersByTimeAsync(1);
    expect(await Promise.all(handling)).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(unitOfWork.sizes).toEqual([10, 10, 5]);
  });

  it('are handled alone, and a warning says so, when no transaction can be begun', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    unitOfWork.begin = () => Promise.reject(new Error('no connection'));
    const batches = createBatches(10_000, 1);
    const handling = ['a', 'b'].map(() => batches.together(nextPair(), async () => undefined));
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

  it('have their inbox rows recorded together, but for the first, and are told of what was there before', async () => {
    const batches = createBatches(10_000, 1);
    record = async (pairs) => pairs.map(({ messageId }) => messageId !== 'known');
    const asked = (isNew: boolean): Promise<string> => Promise.resolve(isNew ? 'new' : 'known');
    const handling = [nextPair(), nextPair(), { ...nextPair(), messageId: 'known' }, nextPair()].map((pair) =>
      batches.together(pair, (_, isNew) => asked(isNew)),
    );
    await jest.advanceTimersByTimeAsync(1);
    expect(await Promise.all(handling)).toEqual(['new', 'new', 'known', 'new']);
    expect(recorded).toEqual([1, 3]);
    expect(unitOfWork.sizes).toEqual([4]);
  });

  it('are handled in the next batch, not alone, where one before them fails that was recorded with them', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const batches = createBatches(10_000, 1);
    const calls: number[] = [];
    const handling = [1, 2, 3, 4, 5].map((number) =>
      batches.together(nextPair(), async () => {
        calls.push(number);
        if (number === 3) throw new Error('not this one');
        return number;
      }),
    );
    const settled = Promise.allSettled(handling);
    await jest.advanceTimersByTimeAsync(1);
    const rolledBack = { status: 'rejected', reason: expect.any(BatchRolledBackError) };
    const done = [4, 5].map((value) => ({ status: 'fulfilled', value }));
    expect(await settled).toEqual([rolledBack, rolledBack, rolledBack, ...done]);
    expect(calls).toEqual([1, 2, 3, 4, 5]);
    expect([recorded, unitOfWork.sizes]).toEqual([[1, 4, 1, 1], [2]]);
    warn.mockRestore();
  });

  it('go back to those that wait when the ones before have taken longer than was to be expected', async () => {
    const batches = createBatches(10_000, 1);
    const pairs = ['a', 'b', 'known', 'c', 'd'].map((messageId) => ({ messageId, handler: 'a handler' }));
    record = async (given) => given.map(({ messageId }) => messageId !== 'known');
    const handling = pairs.map((pair, index) => batches.together(pair, () => after(index === 1 ? 400 : 1)));
    await jest.advanceTimersByTimeAsync(1_000);
    await Promise.all(handling);
    expect([recorded, forgotten]).toEqual([
      [1, 4, 1, 2],
      ['c', 'd'],
    ]);
    expect(unitOfWork.sizes).toEqual([2, 3]);
  });

  it('are handled in another batch when theirs was given up before they were begun, for a database that hangs', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const batches = createBatches(200, 1);
    let parts = 0;
    unitOfWork.endPart = () => (++parts === 2 ? never() : Promise.resolve());
    const handle = jest.fn(async () => undefined);
    const settled = Promise.allSettled([1, 2, 3, 4].map(() => batches.together(nextPair(), handle)));
    // The limit of the batch, and what its rollback may take.
    await jest.advanceTimersByTimeAsync(30_000);
    expect((await settled).map(({ status }) => status)).toEqual(TWO_LOST_TWO_DONE);
    expect(handle).toHaveBeenCalledTimes(4);
    warn.mockRestore();
  });

  it('are handled in another batch when theirs was given up while their inbox rows were deleted', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const batches = createBatches(1_000, 1);
    const forget = jest.spyOn(inbox, 'forget').mockImplementationOnce(never);
    const handling = [1, 400, 1, 1].map((ms) => batches.together(nextPair(), () => after(ms)));
    const settled = Promise.allSettled(handling);
    await jest.advanceTimersByTimeAsync(30_000);
    expect((await settled).map(({ status }) => status)).toEqual(TWO_LOST_TWO_DONE);
    forget.mockRestore();
    warn.mockRestore();
  });

  it('are told once, and not begun, when their inbox rows are recorded after that was given up', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const batches = createBatches(200, 1);
    record = async (pairs) => {
      if (pairs.length > 1) await after(20_000);
      return pairs.map(() => true);
    };
    const handle = jest.fn(async () => undefined);
    const settled = Promise.allSettled([1, 2, 3].map(() => batches.together(nextPair(), handle)));
    await jest.advanceTimersByTimeAsync(60_000);
    expect((await settled).map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    await batches.together(nextPair(), handle);
    expect(handle).toHaveBeenCalledTimes(2);
    warn.mockRestore();
  });

  it('are handled though it has taken long to record the first of them', async () => {
    const batches = createBatches(10_000, 1);
    record = async (pairs) => {
      await after(300);
      return pairs.map(() => true);
    };
    const handling = [1, 2].map((number) => batches.together(nextPair(), async () => number));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await Promise.all(handling)).toEqual([1, 2]);
    expect([recorded, forgotten]).toEqual([[1, 1], []]);
  });

  it('are handled alone when their inbox rows could not be recorded: any of them may be why', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const batches = createBatches(10_000, 1);
    record = async (pairs) => {
      if (pairs.length > 1) throw new Error('a deadlock');
      return [true];
    };
    const handle = jest.fn(async () => undefined);
    const settled = Promise.allSettled([1, 2, 3].map(() => batches.together(nextPair(), handle)));
    await jest.advanceTimersByTimeAsync(1);
    const reason = expect.any(BatchRolledBackError);
    expect(await settled).toEqual(Array(3).fill({ status: 'rejected', reason }));
    expect(handle).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  it('get another beside one that is old, in which a handler hangs', async () => {
    const batches = createBatches(10_000);
    const hanging = batches.together(nextPair(), never);
    const lost = expect(hanging).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' });
    await jest.advanceTimersByTimeAsync(1);
    const others = Promise.all([
      batches.together(nextPair(), async () => 'a'),
      batches.together(nextPair(), async () => 'b'),
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
    void batches.together(nextPair(), async () => 'first');
    await jest.advanceTimersByTimeAsync(1);
    unitOfWork.afterCommit = async () => undefined;
    expect(await batches.together(nextPair(), async () => 'second')).toBe('second');
  });

  it('do not wait for what one that is alone does after its commit', async () => {
    const batches = createBatches(10_000, 1);
    void batches.alone(async (onCommitted) => {
      onCommitted();
      await never();
    });
    await jest.advanceTimersByTimeAsync(1);
    expect(await batches.together(nextPair(), async () => 'second')).toBe('second');
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
    const handling = Array.from({ length: 5 }, () => batches.together(nextPair(), () => after(45)));
    const settled = Promise.allSettled(handling);
    await jest.advanceTimersByTimeAsync(30_000);
    expect((await settled).map(({ status }) => status)).toEqual(Array(5).fill('fulfilled'));
    expect(unitOfWork.sizes).toEqual([3, 2]);
  });

  it('are told that they were not begun, when the transaction takes longer to begin than all may last', async () => {
    const batches = createBatches(200);
    unitOfWork.begin = () => after(250);
    const handle = jest.fn(async () => undefined);
    const error: Promise<unknown> = batches.together(nextPair(), handle).catch((reason: unknown) => reason);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await error).toBeInstanceOf(BatchRolledBackError);
    expect(handle).not.toHaveBeenCalled();
  });
});
