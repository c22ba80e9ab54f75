import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { messageOf } from '../../cqrs-outbox.error.js';
import type { OutboxEntry } from '../../outbox/outbox-entry.js';
import { backoffMs, type Random } from '../failures/backoff.js';
import type { RelayClock } from '../relay-clock.js';
import { CommitHint } from './commit-hint.js';
import type { CommitHints } from './commit-hints.js';
import { HINT_BACKOFF, HINT_PAUSE_MS } from './hint-limits.js';
import { Paced } from './paced.js';

/** After so many milliseconds it is worth a warning that a hint is still being sent. */
const SLOW_MS = 5_000;

/** What the relay of this process sees to by itself. */
export interface OwnRelay {
  readonly leasedSlots: ReadonlySet<number>;
  /** Whether it moves delayed entries when they are due. */
  readonly isFirst: boolean;
}

/** Tells other processes of the commits of this one, as far as its own relay does not see to them. */
export class HintAnnouncer {
  readonly #logger = new Logger('OutboxRelay:hints');
  /** Leaves the caller's transaction and request behind. */
  readonly #detached = AsyncLocalStorage.snapshot();
  readonly #paced: Paced;
  #next = new CommitHint();
  #failures = 0;

  constructor(
    private readonly hints: CommitHints,
    private readonly relay: OwnRelay,
    private readonly clock: RelayClock,
    private readonly random: Random,
  ) {
    this.#paced = new Paced(clock, () => this.announce());
  }

  /** These were committed just now. */
  note(entries: readonly OutboxEntry[]): void {
    if (entries.length === 0) return;
    const { leasedSlots, isFirst } = this.relay;
    for (const { destination, slot, availableAt } of entries) {
      if (availableAt === undefined && !leasedSlots.has(slot)) this.#next.add(destination, slot);
      if (availableAt !== undefined && !isFirst) this.#next.addDelayed();
    }
    if (this.#next.isEmpty) return;
    this.#detached(() => {
      this.#paced.ask();
    });
  }

  /** Sends what is to be sent. */
  stop(): Promise<void> {
    return this.#paced.stop();
  }

  private async announce(): Promise<number> {
    const hint = this.#next;
    this.#next = new CommitHint();
    const cancel = this.clock.setTimer(() => {
      this.#logger.warn(
        `A hint takes over ${SLOW_MS} ms to send: until it is sent, relays wait for their tick.`,
      );
    }, SLOW_MS);
    try {
      await this.hints.announce(hint.toText());
    } catch (error) {
      return this.recordFailure(error);
    } finally {
      cancel();
    }
    if (this.#failures > 0) this.#logger.log(`Hints are sent again, after ${this.#failures} failure(s).`);
    this.#failures = 0;
    return HINT_PAUSE_MS;
  }

  /** @returns how long to wait until the next, in milliseconds */
  private recordFailure(error: unknown): number {
    this.#failures++;
    const text = `A hint could not be sent, relays wait for their tick: ${messageOf(error)}`;
    // A long outage is one warning and not one for each commit.
    if (this.#failures === 1) this.#logger.warn(text);
    else this.#logger.debug(text);
    return backoffMs(this.#failures, HINT_BACKOFF, this.random);
  }
}
