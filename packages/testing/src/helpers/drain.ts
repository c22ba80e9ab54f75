import { addReports, isIdle, OutboxRelay, OutboxStore, type RelayReport } from '@cqrs-outbox/core';
import { find, type AppParts } from './app-parts.js';
import { TestClock } from '../clock/clock.js';
import { InMemoryOutboxStore } from '../store/in-memory-outbox-store.js';

/**
 * Runs the relay until nothing is left in the outbox: entries that handlers append meanwhile included, and those that
 * wait for a retry, or are delayed, too, for which the application's {@link TestClock} is advanced ({@link InMemoryStore}
 * has one).
 *
 * @returns what was done in all, by destination
 * @throws AggregateError when a destination can't be reached, see {@link OutboxRelay.runOnce}
 * @throws Error when entries wait for a time that does not come, since the store's clock is a real one, or for a dead
 *   letter that parks their key
 */
export async function drain(app: AppParts): Promise<Record<string, RelayReport>> {
  const relay = app.get(OutboxRelay, { strict: false });
  const total: Record<string, RelayReport> = {};
  // A commit may slip in between a pass and the count: one idle pass is no proof that nothing moves.
  for (let idlePasses = 0; ;) {
    const reports = await relay.runOnce();
    for (const [destination, report] of Object.entries(reports)) {
      const before = total[destination];
      total[destination] = before ? addReports(before, report) : report;
    }
    const left = await waiting(app, Object.keys(reports));
    if (left.length === 0) return total;
    if (!Object.values(reports).every(isIdle)) idlePasses = 0;
    else if (!advanceToNextDue(app) && ++idlePasses > 1) {
      throw new Error(
        `Entries wait for a time that is not due, or for a dead letter that parks their key (${left.join(', ')}): ` +
          `let time pass, or requeue or discard the dead letter, and drain again.`,
      );
    }
  }
}

async function waiting(app: AppParts, destinations: readonly string[]): Promise<string[]> {
  const store = app.get(OutboxStore, { strict: false });
  const counts = await Promise.all(destinations.map((destination) => store.count(destination)));
  return destinations.flatMap((destination, index) =>
    counts[index] ? [`${destination}: ${counts[index]}`] : [],
  );
}

/** @returns whether there was a clock to advance, and a retry or a delayed entry that it was advanced to */
function advanceToNextDue(app: AppParts): boolean {
  const store = app.get(OutboxStore, { strict: false });
  if (!(store instanceof InMemoryOutboxStore)) return false;
  const dueAt = store.nextDueAt();
  const clock = find(app, TestClock);
  if (dueAt === undefined || !clock) return false;
  const waitMs = dueAt - clock.now();
  if (waitMs > 0) clock.advance(waitMs);
  return waitMs > 0;
}
