import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { RecordedEvent } from './recorded-event.js';

/** A chain of events, each recorded by a handler of the one before, that is longer than this is taken for a cycle. */
const MAX_DEPTH = 100;
/** Handlers that record several events each grow a tree, which is large long before it is deep. */
const MAX_EVENTS = 10_000;

/**
 * @param count which event of its transaction this is
 * @throws {@link CqrsOutboxError} with code `DOMAIN_EVENT_LIMIT`
 */
export function checkDomainEventLimits(recorded: RecordedEvent, count: number): void {
  if (recorded.depth > MAX_DEPTH) {
    throw new CqrsOutboxError(
      'DOMAIN_EVENT_LIMIT',
      `Handlers of domain events have recorded each other's events ${MAX_DEPTH} times in a row, at last ` +
        `${recorded.describeChain()}: end the cycle where there is nothing left to do.`,
    );
  }
  if (count > MAX_EVENTS) {
    const last = recorded.depth > 1 ? recorded.describeChain() : recorded.event.constructor.name;
    throw new CqrsOutboxError(
      'DOMAIN_EVENT_LIMIT',
      `Over ${MAX_EVENTS} domain events in one transaction, the last ${last}: do handlers record each other's events ` +
        `in a cycle? Work that is so large needs several transactions.`,
    );
  }
}
