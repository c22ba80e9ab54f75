import { Logger } from '@nestjs/common';
import { messageOf } from '../../cqrs-outbox.error.js';
import { closeInTime, TimeoutError } from '../../transports/time-limit.js';
import { backoffMs, type Random } from '../failures/backoff.js';
import type { RelayClock } from '../relay-clock.js';
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
      if (!(await this.goesOnAfter(backoffMs(failures, HINT_BACKOFF, this.random)))) return;
    }
  }

  /** @returns why nothing is heard any more; does not reject */
  private async listen(failures: number): Promise<unknown> {
    const lost = new Occurrence(this.#signal);
    let stop: StopListening;
    try {
      stop = await this.begin(lost);
    } catch (error) {
      return error;
    }
    if (failures > 0) this.#logger.log(`Hints are heard again, after ${failures} failure(s).`);
    this.receiver.catchUp();
    await this.wait(Infinity, lost);
    await closeInTime('the hints that are heard', stop);
    return lost.cause;
  }

  private async begin(lost: Occurrence): Promise<StopListening> {
    const begun = new Occurrence(this.#signal);
    // What throws at once rejects too.
    const beginning = (async () => this.hints.listen((hint) => this.receiver.hear(hint), lost.happen))();
    beginning.then(begun.happen, begun.happen);
    await this.wait(LISTEN_LIMIT_MS, begun);
    if (begun.hasHappened) return beginning;
    // It may still come, and then nobody wants it.
    void beginning.then(
      (stop) => closeInTime('hints that came too late', stop),
      () => undefined,
    );
    throw new TimeoutError('Beginning to listen', LISTEN_LIMIT_MS);
  }

  /** @returns false when the listener ends meanwhile */
  private async goesOnAfter(pauseMs: number): Promise<boolean> {
    await this.wait(pauseMs, new Occurrence(this.#signal));
    return !this.#isStopping;
  }

  /** Waits for it, for that long at most, and no longer when the listener ends. */
  private async wait(limitMs: number, occurrence: Occurrence): Promise<void> {
    const until = this.clock.now() + limitMs;
    // Something else may set the signal too.
    for (
      let rest = limitMs;
      rest > 0 && !occurrence.hasHappened && !this.#isStopping;
      rest = until - this.clock.now()
    )
      await this.#signal.wait(rest);
  }
}

/** Something that happens once, and sets the signal. */
class Occurrence {
  hasHappened = false;
  cause: unknown;

  constructor(private readonly signal: Signal) {}

  readonly happen = (cause: unknown): void => {
    if (this.hasHappened) return;
    this.hasHappened = true;
    this.cause = cause;
    this.signal.set();
  };
}
