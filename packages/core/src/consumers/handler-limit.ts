import { Logger } from '@nestjs/common';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';

/** How long after its limit a transaction may take to roll back: it waits for the statement in flight. */
const ROLLBACK_LIMIT_MS = 10_000;

/** The time that a handler and its transaction may take; then the transaction is told to end. */
export class HandlerLimit {
  readonly #logger = new Logger('Inbox');
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #error: CqrsOutboxError;

  constructor(
    private readonly what: string,
    private readonly limitMs: number,
  ) {
    this.#error = new CqrsOutboxError(
      'HANDLER_TIMEOUT',
      `${what} took over ${limitMs} ms, and its transaction is rolled back. Make it faster, have it give up what it ` +
        `waits for, or raise consumer.handlerTimeoutMs.`,
    );
  }

  /** Aborted when the time is over, with the error as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Waits for the whole transaction, and after the time for its rollback too, within reason: one whose database hangs can't
   * hold the message for ever.
   *
   * @throws {@link CqrsOutboxError} with code `HANDLER_TIMEOUT`
   */
  async watch<T>(transact: () => Promise<T>): Promise<T> {
    const isOver = new Promise<never>((_, reject) => {
      this.#timers.push(
        setTimeout(() => this.#controller.abort(this.#error), this.limitMs),
        setTimeout(() => reject(this.#error), this.limitMs + ROLLBACK_LIMIT_MS),
      );
    });
    try {
      return await Promise.race([transact(), isOver]);
    } finally {
      this.stop();
    }
  }

  /**
   * Waits for the handler, inside of its transaction, until the time is over: what is thrown then rolls it back.
   *
   * @throws {@link CqrsOutboxError} with code `HANDLER_TIMEOUT`
   */
  async run<T>(handle: () => Promise<T>): Promise<T> {
    const { signal } = this;
    signal.throwIfAborted();
    const handled = handle().finally(() => this.onSettled());
    let onAbort: (() => void) | undefined;
    const isOver = new Promise<never>((_, reject) => {
      onAbort = () => reject(this.#error);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([handled, isOver]);
    } finally {
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
  }

  /** What is committed has not failed, whatever runs after it. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  private onSettled(): void {
    if (this.signal.aborted) this.#logger.warn(`${this.what} has ended now, after it was given up.`);
  }
}
