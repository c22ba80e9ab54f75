import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';

const CLOSE_LIMIT_MS = 5_000;

/** Something took longer than its limit (see {@link withTimeLimit}). What it waited for may still happen. */
export class TimeoutError extends Error {
  constructor(what: string, limitMs: number) {
    super(`${what} took over ${limitMs} ms`);
    this.name = TimeoutError.name;
  }
}

/**
 * For a {@link Transport} of your own, which must answer in bounded time. The work itself goes on: what it would still
 * send after that, the transport has to prevent.
 *
 * @param limitMs in milliseconds
 * @param what names the work in the error's message
 * @throws {@link TimeoutError} when `work` has not settled after `limitMs`
 */
export async function withTimeLimit<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(what, limitMs)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Closes something that the application does not need any more: a failure, or a client that hangs, is only logged. */
export async function closeInTime(what: string, close: () => Promise<unknown>): Promise<void> {
  try {
    await withTimeLimit(close(), CLOSE_LIMIT_MS, `Closing ${what}`);
  } catch (error) {
    new Logger('CqrsOutbox').warn(messageOf(error));
  }
}
