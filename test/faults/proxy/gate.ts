import { setTimeout as sleep } from 'node:timers/promises';

/** What everything has to pass: shut or open, at once or later. */
export class Gate {
  delayMs = 0;
  #opened = Promise.resolve();
  #open: () => void = () => undefined;
  #isShut = false;

  shut(): void {
    if (this.#isShut) return;
    this.#isShut = true;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#isShut = false;
    this.#open();
  }

  /**
   * Runs the step when the gate is open.
   *
   * @param dueAt not before, by `performance.now()`
   */
  async pass(step: () => void, dueAt = 0): Promise<void> {
    const restMs = dueAt - performance.now();
    if (restMs > 0) await sleep(restMs);
    while (this.#isShut) await this.#opened;
    step();
  }
}
