import type { RelayClock } from './relay-clock.js';

/** Wakes one waiter. A signal that comes while nobody waits is kept, once. */
export class Signal {
  #isSet = false;
  #wake: (() => void) | undefined;

  constructor(private readonly clock: RelayClock) {}

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Resolves at the next signal, or after `limitMs` milliseconds. */
  async wait(limitMs: number): Promise<void> {
    if (!this.#isSet) {
      let cancel: (() => void) | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        cancel = this.clock.setTimer(resolve, limitMs);
      });
      cancel?.();
      this.#wake = undefined;
    }
    this.#isSet = false;
  }
}
