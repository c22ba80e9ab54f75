import type { RelayClock } from '../relay/relay-clock.js';
import type { Keeper } from './keeper.js';

/** The message must go back: the application ends, or its broker has taken it away. */
export class HoldEndedError extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = HoldEndedError.name;
  }
}

/** How a message can be held, which depends on its broker. */
export interface HoldTerms {
  /** False where a failure is answered at once: behind the in-memory transport, of which the relay tries again. */
  readonly canWait: boolean;
  /** Whether no broker has the message any more, so that it lives in this process's memory alone. */
  readonly isOnlyHere: boolean;
  /** The longest time that the broker leaves it here, in milliseconds. */
  readonly maxMs: number;
  readonly keeper: Keeper | undefined;
}

/** One message in hand, from its arrival until it is done or given back. */
export class Hold {
  readonly #startedAt: number;
  #ended: HoldEndedError | undefined;
  #isLost = false;
  #wake: (() => void) | undefined;
  #onReleased: (() => void) | undefined;

  constructor(
    readonly terms: HoldTerms,
    private readonly clock: RelayClock,
  ) {
    this.#startedAt = clock.now();
    terms.keeper?.start((cause) => {
      this.#isLost = true;
      this.end('its broker has taken it away', { cause });
    });
  }

  /** Whether the broker has taken the message away: it delivers it again by itself. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Milliseconds since the message arrived. */
  get ageMs(): number {
    return this.clock.now() - this.#startedAt;
  }

  /** Lets no wait go on or begin. What runs is not stopped. */
  end(why: string, options?: ErrorOptions): void {
    this.#ended ??= new HoldEndedError(why, options);
    this.#wake?.();
  }

  /** The message is done, or given back. */
  release(): void {
    this.terms.keeper?.stop();
    this.#onReleased?.();
  }

  /** Resolves when it is released. To be called once, before that. */
  released(): Promise<void> {
    return new Promise((resolve) => (this.#onReleased = resolve));
  }

  /**
   * Waits, though not over the time that the broker leaves.
   *
   * @throws {@link HoldEndedError} when the message must go back, at once or in the middle of the wait
   */
  async wait(delayMs: number): Promise<void> {
    this.check();
    const leftMs = this.terms.maxMs - this.ageMs;
    if (leftMs <= 0) throw new HoldEndedError('it was held for as long as its broker allows');
    let cancel: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      cancel = this.clock.setTimer(resolve, Math.min(delayMs, leftMs));
    });
    cancel?.();
    this.#wake = undefined;
    this.check();
  }

  private check(): void {
    if (this.#ended) throw this.#ended;
  }
}
