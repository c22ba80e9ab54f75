import type { RelayClock } from '../relay-clock.js';

/** Does some work whenever it is asked to, but not twice at a time, and with a pause after each time. */
export class Paced {
  #isAsked = false;
  #isStopping = false;
  #running: Promise<void> | undefined;
  #endPause: (() => void) | undefined;

  /** @param work resolves to the length of the pause, in milliseconds, and does not reject */
  constructor(
    private readonly clock: RelayClock,
    private readonly work: () => Promise<number>,
  ) {}

  /** It begins when the caller has returned, or after the pause; once for all that ask until then. */
  ask(): void {
    if (this.#isStopping) return;
    this.#isAsked = true;
    this.#running ??= Promise.resolve().then(() => this.run());
  }

  /** Resolves when the work is done that was asked for until now, without a pause before it. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#endPause?.();
    await this.#running;
  }

  private async run(): Promise<void> {
    while (this.#isAsked) {
      this.#isAsked = false;
      await this.pause(await this.work());
    }
    this.#running = undefined;
  }

  private async pause(lengthMs: number): Promise<void> {
    if (this.#isStopping) return;
    let cancel: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      this.#endPause = resolve;
      cancel = this.clock.setTimer(resolve, lengthMs);
    });
    cancel?.();
    this.#endPause = undefined;
  }
}
