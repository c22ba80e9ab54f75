import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import type { InboxStore } from '../consumers/inbox-store.js';
import type { RelayClock } from '../relay/relay-clock.js';
import { closeInTime, withTimeLimit } from '../transports/time-limit.js';
import type { ArchiveStore } from './archive-store.js';
import type { DeadLetterStore } from './dead-letter-store.js';
import type { ResolvedHousekeepingOptions } from './housekeeping.options.js';

/** The stores that grow. */
export interface HousekeeperStores {
  readonly archive: ArchiveStore;
  readonly inbox: InboxStore;
  readonly deadLetters: DeadLetterStore;
}

/** One statement deletes so many rows at most, and between two of them the relay has its turn. */
const BATCH_SIZE = 500;
const PAUSE_MS = 20;
/** A connection that hangs must not end the housekeeping for good. */
const STATEMENT_LIMIT_MS = 30_000;

/** Deletes what was kept long enough, one small batch after another, as long as this instance is the one that should. */
export class Housekeeper {
  readonly #logger = new Logger('Housekeeper');
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #isStopping = false;

  constructor(
    private readonly stores: HousekeeperStores,
    private readonly options: ResolvedHousekeepingOptions,
    private readonly clock: RelayClock,
    /** Of all instances one should do it; two do no harm. */
    private readonly isOnDuty: () => boolean,
  ) {}

  start(): void {
    this.#cancel = this.clock.setTimer(() => {
      this.#running = this.run();
    }, this.options.intervalMs);
  }

  /** Ends after the batch that is being deleted. One that hangs does not hold up the shutdown. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancel?.();
    await closeInTime('the housekeeper', async () => this.#running);
  }

  private async run(): Promise<void> {
    const { archiveRetentionMs, inboxRetentionMs, deadLetterRetentionMs, inboxDeadLetterRetentionMs } =
      this.options;
    const { archive, inbox, deadLetters } = this.stores;
    await this.purge('the archive', archive, archiveRetentionMs);
    await this.purge('the inbox', inbox, inboxRetentionMs);
    await this.purge('the dead letters', deadLetters, deadLetterRetentionMs);
    const setAside = { purge: (...given: [number, number]) => inbox.purgeSetAside(...given) };
    await this.purge("the inbox's dead letters", setAside, inboxDeadLetterRetentionMs);
    if (!this.#isStopping) this.start();
  }

  /** Deletes all that is over in one store. Its failure does not keep the others from being cleaned. */
  private async purge(
    what: string,
    store: Pick<InboxStore, 'purge'>,
    retentionMs: number | false,
  ): Promise<void> {
    if (retentionMs === false) return;
    try {
      while (!this.#isStopping && this.isOnDuty()) {
        const purged = store.purge(retentionMs, BATCH_SIZE);
        const deleted = await withTimeLimit(purged, STATEMENT_LIMIT_MS, 'Deleting');
        if (deleted < BATCH_SIZE) return;
        await this.pause();
      }
    } catch (error) {
      this.#logger.warn(`Old rows of ${what} stay until the next time: ${messageOf(error)}`);
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(resolve, PAUSE_MS);
    });
  }
}
