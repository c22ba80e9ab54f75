/** Something was not waited for any longer. It may still happen. */
export class GivenUpError extends Error {
  constructor(what: string, limitMs: number) {
    super(`${what} took over ${limitMs} ms`);
    this.name = GivenUpError.name;
  }
}

/** Rejects with a {@link GivenUpError} when `work` has not settled after `limitMs` milliseconds. */
export async function inTime<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GivenUpError(what, limitMs)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
