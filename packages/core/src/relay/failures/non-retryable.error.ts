/**
 * Says that another try can't help. Thrown by a transport, or by a handler behind the in-memory transport, or given as
 * the `error` of a refused {@link PublishResult}: the entry becomes a dead letter at once.
 */
export class NonRetryableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = NonRetryableError.name;
  }
}

/** How deep in the causes of an error it is looked for. */
const MAX_DEPTH = 10;

export function isNonRetryable(error: unknown): boolean {
  for (
    let cause = error, depth = 0;
    cause instanceof Error && depth < MAX_DEPTH;
    cause = cause.cause, depth++
  ) {
    if (cause instanceof NonRetryableError) return true;
    if (cause instanceof AggregateError && cause.errors.some((part) => part instanceof NonRetryableError))
      return true;
  }
  return false;
}
