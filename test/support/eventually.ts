import { setTimeout as delay } from 'node:timers/promises';

/** Repeats an assertion until it holds; its last error is thrown when the time is over. */
export async function eventually<T>(assertion: () => T | Promise<T>, limitMs = 15_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(20);
    }
  }
}
