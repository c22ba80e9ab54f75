import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { OutboxRelay } from '../relay/outbox-relay.js';
import { checkedId, checkedLimit, checkedSelection, narrowSelection } from './dead-letter-selection.js';
import type {
  DeadLetterStore,
  DeadLetter,
  DeadLetterPage,
  DeadLetterSelection,
} from './dead-letter-store.js';

const SELECTABLE = ['messageId', 'destination', 'key', 'name'] as const;

/**
 * What was given up, for a person to decide on: send it again, or drop it. Nothing but this, and a retention time that is
 * asked for, deletes a dead letter. Each call works outside of the caller's transaction.
 */
export class DeadLetters {
  constructor(
    private readonly store: DeadLetterStore,
    private readonly relay: OutboxRelay,
  ) {}

  /**
   * Some of the dead letters, in the order in which they were given up.
   *
   * @param page by default the first 100 of all; at most 1,000 at a time, further ones with `after`
   * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_SELECTION` for a limit that is none, and a condition
   *   that is no text
   */
  async list(page: Partial<Omit<DeadLetterPage, 'upTo'>> = {}): Promise<DeadLetter[]> {
    const { limit, after, ...selection } = page;
    const part = { ...checkedSelection(selection, SELECTABLE), limit: checkedLimit(limit) };
    return this.store.list(after === undefined ? part : { ...part, after: checkedId('after', after) });
  }

  /**
   * Puts dead letters back into the outbox: one by its `messageId`, or all of a `key`, `name` or `destination`. Each keeps
   * its message id and gets its old position, so that those of a key keep their order, and come before what waits of the key;
   * what the key has published meanwhile stays before them. Attempts count from 0 again.
   *
   * @returns how many
   * @throws {@link CqrsOutboxError} with code `DEAD_LETTER_NOT_FOUND` when there is none with the given `messageId`: it was
   *   requeued or discarded already. With code `DEAD_LETTER_SELECTION` when nothing is selected; {@link requeueAll} is for all.
   */
  async requeue(selection: Omit<DeadLetterSelection, 'upTo'>): Promise<number> {
    const count = await this.repeat(selection, (part) => this.store.requeue(part));
    this.relay.wakeAll();
    return count;
  }

  /** Puts all dead letters back into the outbox. @returns how many */
  async requeueAll(): Promise<number> {
    const count = await this.drained({}, (part) => this.store.requeue(part));
    this.relay.wakeAll();
    return count;
  }

  /**
   * Deletes dead letters, which are then lost. Keys that they parked go on without them.
   *
   * @returns how many
   * @throws {@link CqrsOutboxError} as {@link requeue} does
   */
  async discard(selection: Omit<DeadLetterSelection, 'upTo'>): Promise<number> {
    const count = await this.repeat(selection, (part) => this.store.discard(part));
    this.relay.wakeAll();
    return count;
  }

  private async repeat(
    selection: DeadLetterSelection,
    work: (selection: DeadLetterSelection) => Promise<number>,
  ): Promise<number> {
    const part = narrowSelection(selection, SELECTABLE);
    const count = await this.drained(part, work);
    if (count > 0 || part.messageId === undefined) return count;
    throw new CqrsOutboxError(
      'DEAD_LETTER_NOT_FOUND',
      `There is no dead letter of message ${part.messageId}: it was requeued or discarded already, or the id is wrong.`,
    );
  }

  /** Part by part, as far as there are now: the relay may give entries up again meanwhile. */
  private async drained(
    selection: DeadLetterSelection,
    work: (selection: DeadLetterSelection) => Promise<number>,
  ): Promise<number> {
    const upTo = await this.store.newest();
    if (upTo === undefined) return 0;
    for (let total = 0; ;) {
      const count = await work({ ...selection, upTo });
      if (count === 0) return total;
      total += count;
    }
  }
}
