import { Logger } from '@nestjs/common';
import { messageOf } from '../../cqrs-outbox.error.js';
import { closeInTime, withTimeLimit } from '../../transports/time-limit.js';
import { backoffMs, type Random } from '../failures/backoff.js';
import { MAX_TIMER_MS, type RelayClock } from '../relay-clock.js';
import { Signal } from '../signal.js';
import type { CommitHints, StopListening } from './commit-hints.js';
import { HINT_BACKOFF } from './hint-limits.js';

const LISTEN_LIMIT_MS = 10_000;
/** What is lost earlier than that has not worked. */
const STEADY_MS = 10_000;

/** What becomes of hints. */
export interface HintReceiver {
  hear(text: unknown): void;
  /** Hints may have been lost until now. */
  catchUp(): void;
}

/**
 * Listens for hints, again and again:
 *
 *   listen --heard--> lost --backoff--> listen
 *      \------failed-----------/
 */
export class HintListener {
  readonly #logger = new Logger('OutboxRelay:hints');
  readonly #signal: Signal;
  #loop: Promise<void> | undefined;
  #isStopping = false;

  constructor(
    private readonly hints: CommitHints,
    private readonly receiver: HintReceiver,
    private readonly clock: RelayClock,
    private readonly random: Random,
  ) {
    this.#signal = new Signal(clock);
  }

  start(): void {
    this.#loop = this.run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#signal.set();
    await this.#loop;
  }

  private async run(): Promise<void> {
    for (let failures = 0; ;) {
      const startedAt = this.clock.now();
      const reason = await this.listen(failures);
      if (this.#isStopping) return;
      failures = this.clock.now() - startedAt < STEADY_MS ? failures + 1 : 1;
      const text = `No hints are heard, the relay waits for its tick: ${messageOf(reason)}`;
      // A long outage is one warning and not one for each try.
      if (failures === 1) this.#logger.warn(text);
      else this.#logger.debug(text);
      if (!(await this.pause(backoffMs(failures, HINT_BACKOFF, this.random)))) return;
    }
  }

  /** @returns why nothing is heard any more; does not reject */
  private async listen(failures: number): Promise<unknown> {
    const end = new EndOfListening(this.#signal);
    let stop: StopListening;
    try {
      stop = await this.begin(end);
    } catch (error) {
      return error;
    }
    if (failures > 0) this.#logger.log(`Hints are heard again, after ${failures} failure(s).`);
    this.receiver.catchUp();
    while (!end.hasCome && !this.#isStopping) await this.#signal.wait(MAX_TIMER_MS);
    await closeInTime('the hints that are heard', stop);
    return end.reason;
  }

  /** Only the end of the listener cuts it short, whatever sets the signal. @returns whether to go on */
  private async pause(lengthMs: number): Promise<boolean> {
    const until = this.clock.now() + lengthMs;
    for (let rest = lengthMs; rest > 0 && !this.#isStopping; rest = until - this.clock.now())
      await this.#signal.wait(rest);
    return !this.#isStopping;
  }

  private async begin(end: EndOfListening): Promise<StopListening> {
    // What throws at once rejects too.
    const beginning = (async () => this.hints.listen((hint) => this.receiver.hear(hint), end.come))();
    try {
      return await withTimeLimit(beginning, LISTEN_LIMIT_MS, 'Beginning to listen');
    } catch (error) {
      // It may still come, and then nobody wants it.
      void beginning.then(
        (stop) => closeInTime('hints that came too late', stop),
        () => undefined,
      );
      throw error;
    }
  }
}

/** Remembers that nothing is heard any more. */
class EndOfListening {
  hasCome = false;
  reason: unknown;

  constructor(private readonly signal: Signal) {}

  readonly come = (reason: unknown): void => {
    if (this.hasCome) return;
    this.hasCome = true;
    this.reason = reason;
    this.signal.set();
  };
}
