import { messageOf } from '../cqrs-outbox.error.js';
import type { OutboxStatus, OutboxState } from './outbox-status.js';

/** When {@link OutboxHealthIndicator} says `down`. */
export interface OutboxHealthLimits {
  /**
   * The oldest pending entry may be so old, in milliseconds: longer than an outage of the broker that you accept.
   * @defaultValue 60000
   */
  maxAgeMs?: number;
  /**
   * So many entries may wait for a destination.
   * @defaultValue no limit
   */
  maxPending?: number;
  /**
   * So many dead letters may wait for a person.
   * @defaultValue no limit
   */
  maxDeadLetters?: number;
  /**
   * So many received messages may be set aside for a person.
   * @defaultValue no limit
   */
  maxInboxDeadLetters?: number;
}

/** What @nestjs/terminus expects of a health indicator. */
export type OutboxHealthResult<K extends string> = Record<
  K,
  { status: 'up' | 'down'; [detail: string]: unknown }
>;

/**
 * A health indicator for @nestjs/terminus, which this package does not import. For readiness and alerts, not for liveness:
 * a broker that is down does not get better when the application is restarted.
 *
 * @example
 * this.health.check([() => this.outbox.isHealthy('outbox', { maxAgeMs: 30_000 })])
 */
export class OutboxHealthIndicator {
  constructor(private readonly status: OutboxStatus) {}

  /**
   * It does not throw: with terminus, what one indicator throws hides what the others have found.
   *
   * @returns `down` when a limit is exceeded, with what is wrong and each destination's figures in any case; also when the
   *   database could not be asked
   */
  async isHealthy<K extends string>(key: K, limits: OutboxHealthLimits = {}): Promise<OutboxHealthResult<K>> {
    try {
      return { [key]: judge(await this.status.read(), limits) } as OutboxHealthResult<K>;
    } catch (error) {
      const problems = [`The outbox can't be read: ${messageOf(error)}`];
      return { [key]: { status: 'down', problems, destinations: {} } } as unknown as OutboxHealthResult<K>;
    }
  }
}

function judge(
  { destinations, inboxDeadLetters }: OutboxState,
  {
    maxAgeMs = 60_000,
    maxPending = Infinity,
    maxDeadLetters = Infinity,
    maxInboxDeadLetters = Infinity,
  }: OutboxHealthLimits,
): OutboxHealthResult<string>[string] {
  const problems = destinations.flatMap(({ destination, pending, oldestAgeMs, deadLetters, health }) => [
    ...(oldestAgeMs > maxAgeMs ? [`${destination}: the oldest entry waits for ${oldestAgeMs} ms`] : []),
    ...(pending > maxPending ? [`${destination}: ${pending} entries wait`] : []),
    ...(deadLetters > maxDeadLetters ? [`${destination}: ${deadLetters} dead letters`] : []),
    ...(health?.state === 'down' && oldestAgeMs > maxAgeMs ? [`${destination}: ${health.reason}`] : []),
  ]);
  if (inboxDeadLetters > maxInboxDeadLetters) problems.push(`inbox: ${inboxDeadLetters} dead letters`);
  const details = Object.fromEntries(
    destinations.map(({ destination, pending, oldestAgeMs, deadLetters, health }) => [
      destination,
      { pending, oldestAgeMs, deadLetters, state: health?.state },
    ]),
  );
  return { status: problems.length > 0 ? 'down' : 'up', problems, destinations: details, inboxDeadLetters };
}
