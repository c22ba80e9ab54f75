import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import { slotsOf } from '../outbox/slots.js';
import type { OutboxStore } from '../outbox/outbox-store.js';
import { closeInTime, withTimeLimit } from '../transports/time-limit.js';
import type { SlotLeases } from './leases/slot-leases.js';
import type { RelayClock } from './relay-clock.js';
import type { ResolvedRelayOptions } from './relay.options.js';

/** The database's clock decides what is due, and may lag behind a little. */
const DUE_MARGIN_MS = 10;

/**
 * Moves delayed entries into the outbox when they are due: the instance that has the first slot does it for all. Others
 * find them there at their next tick.
 */
export class DelayedEntries {
  readonly #logger = new Logger('OutboxRelay:delayed');
  #cancel: (() => void) | undefined;
  /** When the timer ends, by the clock. */
  #nextLookAt = Infinity;
  #running: Promise<void> | undefined;
  #mustLookAgain = false;
  #isStopped = false;

  constructor(
    private readonly store: OutboxStore,
    private readonly slotCount: number,
    private readonly options: ResolvedRelayOptions,
    private readonly clock: RelayClock,
  ) {}

  /** Looks now, and by itself when the next one is due. One that fails is tried again at the next tick. */
  look(leases: SlotLeases, onPromoted: () => void): void {
    if (this.#isStopped) return;
    if (this.#running) {
      // What there is news of may have come after the statement that is under way.
      this.#mustLookAgain = true;
      return;
    }
    this.#mustLookAgain = false;
    this.#running = this.promote(leases)
      .then(({ promoted, nextInMs }) => {
        if (promoted > 0) onPromoted();
        if (nextInMs !== undefined) this.lookIn(nextInMs + DUE_MARGIN_MS, leases, onPromoted);
      })
      .catch((error: unknown) => {
        this.#mustLookAgain = false;
        this.#logger.debug(`Delayed entries wait: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#mustLookAgain) this.look(leases, onPromoted);
      });
  }

  /** Looks again after that time, and not later than it would have anyway. */
  lookIn(delayMs: number, leases: SlotLeases, onPromoted: () => void): void {
    const at = this.clock.now() + delayMs;
    if (this.#isStopped || at >= this.#nextLookAt) return;
    this.#cancel?.();
    this.#nextLookAt = at;
    this.#cancel = this.clock.setTimer(() => {
      this.#nextLookAt = Infinity;
      this.look(leases, onPromoted);
    }, delayMs);
  }

  /** Moves all that is due. @throws what the database has thrown */
  async promote(leases: SlotLeases): Promise<{ promoted: number; nextInMs: number | undefined }> {
    const { batchSize, storeTimeoutMs } = this.options;
    const { first } = slotsOf(this.slotCount);
    for (let total = 0; ;) {
      const lease = leases.usable().find(({ slot }) => slot === first);
      if (!lease) return { promoted: total, nextInMs: undefined };
      const work = this.store.promote(lease, batchSize);
      const { promoted, nextInMs } = await withTimeLimit(work, storeTimeoutMs, 'The outbox table');
      total += promoted;
      if (promoted === 0 && nextInMs !== undefined && nextInMs <= 0) {
        // It is due, and was not moved: the lease has no effect.
        leases.suspect([lease]);
        return { promoted: total, nextInMs: undefined };
      }
      if (promoted < batchSize) return { promoted: total, nextInMs };
    }
  }

  /** A statement that hangs does not hold up the shutdown. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await closeInTime('the delayed entries', async () => this.#running);
  }
}
