import { Logger } from '@nestjs/common';
import type { RelayClock } from '../relay-clock.js';
import { CommitHint, type HintScope } from './commit-hint.js';
import type { OwnRelay } from './hint-announcer.js';
import { HINT_PAUSE_MS } from './hint-limits.js';
import type { HintReceiver } from './hint-listener.js';
import { Paced } from './paced.js';

/** At most one line in this time says that something was no hint. */
const COMPLAINT_MS = 60_000;

/** The relay that hints wake. */
export interface HintedRelay extends OwnRelay {
  hear(hint: CommitHint): void;
  wakeAll(): void;
}

/** Wakes the relay of this process for hints of slots that it has, and not more often than the pause allows. */
export class HeardHints implements HintReceiver {
  readonly #logger = new Logger('OutboxRelay:hints');
  readonly #paced: Paced;
  #next = new CommitHint();
  #lastComplaintAt = -Infinity;

  constructor(
    private readonly relay: HintedRelay,
    private readonly scope: HintScope,
    private readonly clock: RelayClock,
  ) {
    this.#paced = new Paced(clock, async () => {
      const hint = this.#next;
      this.#next = new CommitHint();
      this.relay.hear(hint);
      return HINT_PAUSE_MS;
    });
  }

  hear(text: unknown): void {
    const hint = CommitHint.parse(text, this.scope);
    if (!hint) return this.complain();
    const { leasedSlots, isFirst } = this.relay;
    for (const [destination, slots] of hint.slots)
      for (const slot of slots) if (leasedSlots.has(slot)) this.#next.add(destination, slot);
    if (hint.hasDelayed && isFirst) this.#next.addDelayed();
    if (!this.#next.isEmpty) this.#paced.ask();
  }

  catchUp(): void {
    this.relay.wakeAll();
  }

  stop(): Promise<void> {
    return this.#paced.stop();
  }

  private complain(): void {
    const now = this.clock.now();
    if (now - this.#lastComplaintAt < COMPLAINT_MS) return;
    this.#lastComplaintAt = now;
    this.#logger.debug('Something was heard that is no hint, and is ignored.');
  }
}
