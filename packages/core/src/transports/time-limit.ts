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
