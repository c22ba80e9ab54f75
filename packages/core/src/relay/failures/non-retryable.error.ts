import { EventHandlingError } from '../../cqrs-outbox.error.js';

/**
 * Says that another try can't help. Thrown by a transport, or by an event handler, or given as the `error` of a refused
 * {@link PublishResult}: the entry, or the received message, becomes a dead letter at once.
 */
export class NonRetryableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = NonRetryableError.name;
  }
}

/** How deep in the causes of an error it is looked for. */
const MAX_DEPTH = 10;

/** Of several failures, such as those of an event's handlers, all must be such: the others may succeed the next time. */
export function isNonRetryable(error: unknown): boolean {
  for (
    let cause = error, depth = 0;
    cause instanceof Error && depth < MAX_DEPTH;
    cause = cause.cause, depth++
  ) {
    if (cause instanceof NonRetryableError) return true;
    const parts = partsOf(cause);
    if (parts.length > 0) return parts.every(isNonRetryable);
  }
  return false;
}

function partsOf(error: Error): readonly unknown[] {
  if (error instanceof EventHandlingError) return error.failures.map((failure) => failure.error);
  return error instanceof AggregateError ? error.errors : [];
}
