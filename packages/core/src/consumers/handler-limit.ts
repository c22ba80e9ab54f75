import { Logger } from '@nestjs/common';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';

/** How long after its limit a transaction may take to roll back: it waits for the statement in flight. */
const ROLLBACK_LIMIT_MS = 10_000;

/**
 * The time that a handler and its transaction may take; then the transaction is told to end. There is one for each message:
 * so it has one timer, and its error is made when it is needed.
 */
export class HandlerLimit {
  readonly #logger = new Logger('Inbox');
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** Ends the wait for the handler. */
  #giveUpHandler: ((error: CqrsOutboxError) => void) | undefined;

  /** @param what names what is at work, when it is asked for */
  constructor(
    private readonly what: () => string,
    private readonly limitMs: number,
  ) {}

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
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#timer = setTimeout(() => this.onOver(reject), this.limitMs);
        transact().then(resolve, reject);
      });
    } finally {
      this.stop();
    }
  }

  /**
   * Waits for the handler, inside of its transaction, until the time is over: what is thrown then rolls it back.
   *
   * @throws {@link CqrsOutboxError} with code `HANDLER_TIMEOUT`
   */
  run<T>(handle: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.signal.throwIfAborted();
      this.#giveUpHandler = reject;
      handle().then(
        (result) => {
          this.warnOfLateEnd();
          resolve(result);
        },
        (error: unknown) => {
          this.warnOfLateEnd();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as it was thrown
          reject(error);
        },
      );
    });
  }

  /** What is committed has not failed, whatever runs after it. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  private onOver(giveUpTransaction: (error: CqrsOutboxError) => void): void {
    const error = new CqrsOutboxError(
      'HANDLER_TIMEOUT',
      `${this.what()} took over ${this.limitMs} ms, and its transaction is rolled back. Make it faster, have it give up what ` +
        `it waits for, or raise consumer.handlerTimeoutMs.`,
    );
    this.#timer = setTimeout(() => giveUpTransaction(error), ROLLBACK_LIMIT_MS);
    this.#controller.abort(error);
    this.#giveUpHandler?.(error);
  }

  private warnOfLateEnd(): void {
    if (this.signal.aborted) this.#logger.warn(`${this.what()} has ended now, after it was given up.`);
  }
}
