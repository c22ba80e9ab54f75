import { setTimeout as delay } from 'node:timers/promises';
import type { ConcurrencyLimit } from '../concurrency-limit.js';
import { KeyLanes, type KeyedMessage } from './key-lanes.js';

/** How often a batch in hand says that its consumer lives, in milliseconds; kafkajs sends fewer of them. */
const HEARTBEAT_MS = 1_000;
/** How long a batch waits after a message was not handled, before it is fetched again, in milliseconds. */
const REDELIVERY_DELAY_MS = 500;

/** A message of a batch, as kafkajs gives it. */
export interface BatchMessage extends KeyedMessage {
  readonly offset: string;
}

/** One batch, and what can be done with it. */
export interface BatchPort<M extends BatchMessage> {
  /** In the order of their offsets. */
  readonly messages: readonly M[];
  /** Rejects when the message is not done and must be delivered again. The heartbeat rejects when it will be anyway. */
  handle(message: M, heartbeat: () => Promise<void>): Promise<void>;
  /** This message and all before it are handled. */
  resolve(offset: string): void;
  /** Rejects when the partition may be lost. */
  heartbeat(): Promise<void>;
  /** Whether the consumer still wants the batch. */
  isWanted(): boolean;
  /** For so long after a heartbeat nobody else gets the partition, in milliseconds. */
  readonly sessionMs: number;
  /** Told of each message that was not handled. */
  onFailure(message: M, error: unknown): void;
}

/**
 * Handles one batch: messages of a key one after another, of different keys at the same time, and says how far it has come
 * without a gap. It stops when a message is not handled, when the consumer may have lost the partition, or when the batch
 * is not wanted any more: what runs then ends, and nothing more is started.
 */
export class BatchRun<M extends BatchMessage> {
  readonly #lanes: KeyLanes;
  readonly #isHandled: boolean[];
  /** So many messages from the first one on are handled. */
  #prefixSize = 0;
  #hasFailed = false;
  /** Why the partition may be lost. */
  #loss: { error: unknown } | undefined;
  /** Before the last heartbeat that was answered was sent. */
  #aliveAt = performance.now();
  readonly #stopped = new AbortController();

  constructor(
    private readonly batch: BatchPort<M>,
    private readonly limit: ConcurrencyLimit,
    private readonly maxConcurrency: number,
  ) {
    this.#lanes = new KeyLanes(batch.messages);
    this.#isHandled = batch.messages.map(() => false);
  }

  /**
   * Resolves when nothing runs any more.
   *
   * @param closing ends the wait for another delivery
   * @throws what the heartbeat has thrown, which the consumer needs to know
   */
  async run(closing: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const beating = this.#beat(ended.signal);
    const workers = Math.min(this.maxConcurrency, this.#lanes.readyCount);
    await Promise.all(Array.from({ length: workers }, () => this.#work()));
    this.#resolvePrefix();
    if (this.#hasFailed && this.#isActive()) await pause(REDELIVERY_DELAY_MS, closing, this.#stopped.signal);
    ended.abort();
    await beating;
    if (this.#loss) throw this.#loss.error;
  }

  #isActive(): boolean {
    // A request that hangs rejects later than another consumer may have got the partition.
    const isAlive = performance.now() - this.#aliveAt < this.batch.sessionMs;
    return isAlive && !this.#loss && this.batch.isWanted();
  }

  async #work(): Promise<void> {
    for (;;) {
      await this.limit.acquire();
      try {
        const position = this.#hasFailed || !this.#isActive() ? undefined : this.#lanes.take();
        // The lanes that are left are in other hands, which go on with them.
        const message = position === undefined ? undefined : this.batch.messages[position];
        if (position === undefined || !message) return;
        await this.#handle(message, position);
      } finally {
        this.limit.release();
      }
    }
  }

  async #handle(message: M, position: number): Promise<void> {
    try {
      await this.batch.handle(message, () => this.#heartbeat());
    } catch (error) {
      this.#hasFailed = true;
      this.batch.onFailure(message, error);
      return;
    }
    this.#isHandled[position] = true;
    this.#lanes.release(position);
  }

  /** What is resolved is committed at a heartbeat, or at the end: until then it need not be known. */
  #resolvePrefix(): void {
    let last: M | undefined;
    while (this.#isHandled[this.#prefixSize]) last = this.batch.messages[this.#prefixSize++];
    if (!last) return;
    try {
      this.batch.resolve(last.offset);
    } catch (error) {
      // kafkajs does so for a topic that another member of the group has got meanwhile.
      this.#lose(error);
    }
  }

  async #beat(ended: AbortSignal): Promise<void> {
    for (;;) {
      await pause(HEARTBEAT_MS, ended);
      if (ended.aborted) return;
      // What it says is remembered.
      await this.#heartbeat().catch(() => undefined);
      if (this.#loss) return;
    }
  }

  /** @throws when the message in hand will be delivered again, here or elsewhere */
  async #heartbeat(): Promise<void> {
    if (!this.#isActive()) throw new Error('The consumer stops: the message will be delivered again');
    const sentAt = performance.now();
    this.#resolvePrefix();
    try {
      await this.batch.heartbeat();
      this.#aliveAt = Math.max(this.#aliveAt, sentAt);
    } catch (error) {
      this.#lose(error);
      throw error;
    }
  }

  #lose(error: unknown): void {
    this.#loss ??= { error };
    this.#stopped.abort();
  }
}

/** Resolves after so many milliseconds, or at once when a signal says so. */
async function pause(ms: number, ...signals: AbortSignal[]): Promise<void> {
  await delay(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined);
}
