import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';

const CLOSE_LIMIT_MS = 5_000;

/** Something took longer than its limit. What it waited for may still happen. */
export class TimeoutError extends Error {
  constructor(what: string, limitMs: number) {
    super(`${what} took over ${limitMs} ms`);
    this.name = TimeoutError.name;
  }
}

/** Rejects with a {@link TimeoutError} when `work` has not settled after `limitMs` milliseconds. */
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
