import { setTimeout as delay } from 'node:timers/promises';

/** Resolves with the first answer that is not undefined; rejects with `what` when none comes in time. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`Not in ${limitMs} ms: ${what}.`);
    await delay(5);
  }
}
