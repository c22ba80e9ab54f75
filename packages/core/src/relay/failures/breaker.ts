import { messageOf } from '../../cqrs-outbox.error.js';
import type { DestinationHealth, FailureCause } from '../destination-health.js';
import type { RelayClock } from '../relay-clock.js';
import { backoffMs, type BackoffOptions, type Random } from './backoff.js';

/**
 * A circuit breaker for one destination (Nygard, Release It!).
 *
 *   closed --failure--> open --backoff over--> half-open --success--> closed
 *                        ^                         |
 *                        \---------failure---------/
 */
export class Breaker {
  #state: DestinationHealth['breaker'] = 'closed';
  #failures = 0;
  #outage: { cause: FailureCause; reason: string; since: Date } | undefined;
  #cancel: (() => void) | undefined;

  /** @param onHalfOpen called when it is time to probe */
  constructor(
    private readonly options: BackoffOptions,
    private readonly clock: RelayClock,
    private readonly random: Random,
    private readonly onHalfOpen: () => void,
  ) {}

  get state(): DestinationHealth['breaker'] {
    return this.#state;
  }

  get failures(): number {
    return this.#failures;
  }

  health(destination: string): DestinationHealth {
    if (!this.#outage) return { destination, state: 'up', breaker: this.#state, failures: 0 };
    const { cause, reason, since: downSince } = this.#outage;
    const failures = this.#failures;
    return { destination, state: 'down', breaker: this.#state, cause, reason, downSince, failures };
  }

  recordSuccess(): void {
    this.reset();
    this.#state = 'closed';
    this.#failures = 0;
    this.#outage = undefined;
  }

  recordFailure(cause: FailureCause, error: unknown): void {
    this.#failures++;
    this.#outage = { cause, reason: messageOf(error), since: this.#outage?.since ?? new Date() };
    this.#state = 'open';
    this.reset();
    this.#cancel = this.clock.setTimer(
      () => {
        this.#state = 'half-open';
        this.onHalfOpen();
      },
      backoffMs(this.#failures, this.options, this.random),
    );
  }

  /** Cancels the timer. */
  reset(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
