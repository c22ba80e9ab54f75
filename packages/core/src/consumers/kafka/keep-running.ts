import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from '../../relay/failures/backoff.js';

/** The waits between two starts, in milliseconds: of the first failure, and the longest. */
const RESTART = { minBackoffMs: 1_000, maxBackoffMs: 10_000 };

/**
 * Runs something again and again, whatever it fails for, until the signal says that it is enough. It does not reject.
 *
 * @param run lasts as long as all is well; calls `succeeded` when it has started, so that the waits begin anew
 * @param onFailure told of each failure, and of the milliseconds until the next start
 */
export async function keepRunning(
  run: (succeeded: () => void) => Promise<void>,
  signal: AbortSignal,
  onFailure: (error: unknown, waitMs: number) => void,
): Promise<void> {
  let failures = 0;
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    try {
      await run(() => (failures = 0));
    } catch (error) {
      if (isOver()) return;
      failures++;
      // Never at once: what fails right after its start would fail many times a second.
      const waitMs = RESTART.minBackoffMs / 2 + backoffMs(failures, RESTART, Math.random);
      onFailure(error, waitMs);
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
