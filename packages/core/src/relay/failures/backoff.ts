/** Source of randomness, a number in [0, 1); injected so that tests choose it. */
export type Random = () => number;

/** What a backoff needs of {@link ResolvedRelayOptions}. */
export interface BackoffOptions {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
}

/**
 * Exponential backoff with full jitter: a random wait up to `min * 2^(failures - 1)`, at most `max`.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param failures how many in a row, 1 or more
 * @returns milliseconds, at least 1
 */
export function backoffMs(
  failures: number,
  { minBackoffMs, maxBackoffMs }: BackoffOptions,
  random: Random,
): number {
  // 2^53 is past every ceiling, and a larger exponent would only lose precision.
  const ceiling = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(failures - 1, 53));
  return Math.max(1, Math.round(random() * ceiling));
}
