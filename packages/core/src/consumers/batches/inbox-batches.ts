import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { messageOf } from '../../cqrs-outbox.error.js';
import type { RunPart, UnitOfWork } from '../../unit-of-work/unit-of-work.js';
import { ConcurrencyLimit } from '../concurrency-limit.js';
import type { ResolvedBatchOptions } from '../consumer.options.js';
import { HandlerLimit } from '../handler-limit.js';
import { describePair, type InboxPair, type InboxStore } from '../inbox-store.js';
import { BatchLanes } from './batch-lanes.js';
import { BatchRolledBackError } from './batch-rolled-back.error.js';

/** A batch that has lasted for so long takes no more messages, in milliseconds: the first ones wait for its commit. */
const MAX_AGE_MS = 250;

/** One handler of one message, that waits for a batch or is in one. */
interface Job {
  readonly pair: InboxPair;
  /** @param isNew whether its inbox row is */
  readonly handle: (limit: HandlerLimit, isNew: boolean) => Promise<unknown>;
  /** Runs in the asynchronous context of its message: its correlation, its span, its request context. */
  readonly inContext: <T>(work: () => Promise<T>) => Promise<T>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The jobs that a batch has taken. */
interface Batch {
  /** Those that share its fate: they were begun, or their inbox rows are on their way to the database. */
  readonly begun: Job[];
  /** Those whose inbox rows are inserted. They go to another batch if this one fails before they are begun. */
  readonly next: Job[];
  /** Whether inbox rows are on their way, or none is yet. */
  isRecording: boolean;
}

/**
 * Lets handlers of messages that are in hand at the same time share a transaction:
 *
 *   waiting --> in a batch, one after another --> COMMIT --> all are done
 *                          \-- one fails --> ROLLBACK --> each is told so, and is handled again alone
 *
 * Nobody waits for a batch to become full: one is begun for the first that comes, and takes those that are there when it gets
 * to them. Their inbox rows are inserted together, but for the first. What is not begun when another fails goes back to those that wait.
 * There are `maxTransactions` at most, those of handlers that run alone included.
 */
export class InboxBatches {
  readonly #logger = new Logger('Inbox');
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #waiting: Job[] = [];
  readonly #transactions: ConcurrencyLimit;
  readonly #lanes: BatchLanes;
  /** At least as much as the whole batch has lasted is left to the last of its handlers. */
  readonly #maxAgeMs: number;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly inbox: InboxStore,
    private readonly settings: ResolvedBatchOptions,
    private readonly handlerTimeoutMs: number,
  ) {
    this.#transactions = new ConcurrencyLimit(settings.maxTransactions);
    this.#maxAgeMs = Math.min(MAX_AGE_MS, handlerTimeoutMs / 2);
    // One may be begun by a message, or at the end of the one before: in the contexts of neither.
    this.#lanes = new BatchLanes(
      (free, begun) => this.#outside(() => this.runBatch(free, begun)),
      settings,
      this.#maxAgeMs,
      () => this.#waiting.length,
    );
  }

  /**
   * Runs `handle` as a part of a batch, and resolves when that has committed.
   *
   * @param pair its inbox row, which is inserted before, with those of others
   * @throws {@link BatchRolledBackError} when it was rolled back; what `handle` itself has thrown, when it was in it alone
   */
  together(pair: InboxPair, handle: Job['handle']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pair, handle, inContext: AsyncLocalStorage.snapshot(), resolve, reject });
      this.#lanes.open();
    });
  }

  /**
   * Runs work that has a transaction of its own, when it is its turn.
   *
   * @param work gets what it may call when that has committed: others need not wait for what comes after
   */
  async alone<T>(work: (onCommitted: () => void) => Promise<T>): Promise<T> {
    await this.#transactions.acquire();
    const release = once(() => this.#transactions.release());
    try {
      return await work(release);
    } finally {
      release();
    }
  }

  /**
   * It does not reject.
   *
   * @param free says that there is room for another
   * @param begun says that it has its turn
   */
  private async runBatch(free: () => void, begun: () => void): Promise<void> {
    await this.#transactions.acquire();
    begun();
    const batch: Batch = { begun: [], next: [], isRecording: true };
    const { begun: jobs } = batch;
    const limit = new HandlerLimit(() => whatIsAtWork(batch), this.handlerTimeoutMs);
    const end = once(() => {
      this.#transactions.release();
      free();
    });
    // Handlers after the commit may take their time.
    const onCommitted = (): void => {
      limit.stop();
      end();
    };
    try {
      const options = { signal: limit.signal, onCommitted };
      const results = await limit.watch(() =>
        this.unitOfWork.runInParts((runPart) => this.runParts(batch, limit, runPart), options),
      );
      for (const [index, { resolve }] of jobs.entries()) resolve(results[index]);
    } catch (error) {
      const reason = jobs.length === 1 ? error : new BatchRolledBackError(error);
      const why = jobs.length > 0 ? 'since one of them has failed' : 'since their batch could not be begun';
      // Where there is no transaction to begin, nobody should wait for one.
      if (jobs.length === 0) jobs.push(...this.#waiting.splice(0, this.settings.maxMessages));
      if (reason !== error && jobs.length > 0)
        this.#logger.warn(`Messages are handled alone (${jobs.length}), ${why}: ${messageOf(error)}`);
      for (const { reject } of jobs) reject(reason);
    } finally {
      this.giveBack(batch);
      end();
    }
  }

  private async runParts(batch: Batch, limit: HandlerLimit, runPart: RunPart): Promise<unknown[]> {
    const startedAt = performance.now();
    const ageMs = (): number => performance.now() - startedAt;
    const { begun, next } = batch;
    const results: unknown[] = [];
    try {
      for (;;) {
        // What is taken now would be told that it has failed.
        limit.signal.throwIfAborted();
        const taken = this.#waiting.splice(0, this.roomFor(begun.length, ageMs()));
        if (taken.length === 0) return results;
        const areNew = await this.record(taken, batch, limit.signal);
        for (const isNew of areNew) {
          if (begun.length > 0 && ageMs() >= this.#maxAgeMs) break;
          const [job] = next.splice(0, 1) as [Job];
          begun.push(job);
          results.push(await job.inContext(() => runPart(() => job.handle(limit, isNew))));
          limit.signal.throwIfAborted();
        }
        const notBegun = next.filter((job) => areNew[taken.indexOf(job)]);
        if (notBegun.length > 0) await this.inbox.forget(notBegun.map(({ pair }) => pair));
      }
    } finally {
      // At once: a rollback may take its time.
      this.giveBack(batch);
    }
  }

  /** Lets others have what was not begun: its inbox rows are deleted, or rolled back. */
  private giveBack({ next }: Batch): void {
    this.#waiting.unshift(...next.splice(0));
  }

  /**
   * How many more inbox rows are inserted together: those of handlers that there is time for, if they take as long as the ones before.
   */
  private roomFor(done: number, ageMs: number): number {
    const { maxMessages } = this.settings;
    if (done === 0) return 1;
    if (ageMs >= this.#maxAgeMs) return 0;
    const inTime = Math.floor(((this.#maxAgeMs - ageMs) * done) / ageMs);
    return Math.min(maxMessages - done, Math.max(1, inTime));
  }

  private async record(taken: readonly Job[], batch: Batch, signal: AbortSignal): Promise<boolean[]> {
    const { begun, next } = batch;
    // If this fails, it is not said for which of them.
    begun.push(...taken);
    batch.isRecording = true;
    const areNew = await this.inbox.recordAll(
      taken.map(({ pair }) => pair),
      signal,
    );
    // It may have been given up meanwhile, and they were told so.
    signal.throwIfAborted();
    batch.isRecording = false;
    begun.length -= taken.length;
    next.push(...taken);
    return areNew;
  }
}

function whatIsAtWork({ begun, isRecording }: Batch): string {
  const last = begun.at(-1);
  return last && !isRecording ? describePair(last.pair) : 'Recording the messages of a batch in the inbox';
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}
