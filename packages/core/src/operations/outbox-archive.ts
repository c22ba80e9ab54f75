import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { OutboxRelay } from '../relay/outbox-relay.js';
import type { ArchiveStore, ArchiveSelection } from './archive-store.js';

/** The published entries that are kept, with `housekeeping: { archiveRetentionMs }`. */
export class OutboxArchive {
  constructor(
    private readonly options: ResolvedOptions,
    private readonly store: ArchiveStore,
    private readonly relay: OutboxRelay,
  ) {}

  /**
   * Publishes archived entries again, with the same message ids, in the order in which they were published first: for a
   * consumer that has lost them. Inboxes that still know the ids skip them. They are appended to the outbox, behind what
   * waits there, also while the relay runs; one that is still in the outbox is not appended a second time. When this is
   * interrupted, what was appended until then is published.
   *
   * @param selection all conditions must hold; `from` and `to` are times of publishing, by the database's clock
   * @returns how many were appended
   * @throws {@link CqrsOutboxError} with code `ARCHIVE_OFF` when nothing is archived here, and `ARCHIVE_SELECTION` for a
   *   condition that is unknown or undefined, and a time that is none
   */
  async replay(selection: ArchiveSelection): Promise<number> {
    if (this.options.housekeeping.archiveRetentionMs === false) {
      throw new CqrsOutboxError(
        'ARCHIVE_OFF',
        'Published entries are not kept: set housekeeping.archiveRetentionMs in forRoot.',
      );
    }
    check(selection);
    let total = 0;
    let after: string | undefined;
    do {
      const { replayed, last } = await this.store.replay(selection, after);
      total += replayed;
      after = last;
      if (replayed > 0) this.relay.wakeAll();
    } while (after !== undefined);
    return total;
  }
}

const TIMES: readonly string[] = ['from', 'to'];
const NAMES: readonly string[] = ['key', 'name', 'destination'];

/** A condition that somebody forgot to fill in must not select everything. */
function check(selection: ArchiveSelection): void {
  for (const [condition, value] of Object.entries(selection)) {
    const isTime = value instanceof Date && Number.isFinite(value.getTime());
    if (TIMES.includes(condition) ? isTime : NAMES.includes(condition) && typeof value === 'string') continue;
    throw new CqrsOutboxError(
      'ARCHIVE_SELECTION',
      `${condition}: ${String(value)} selects no archived entries. Known are ${TIMES.join(', ')} (valid Dates) and ` +
        `${NAMES.join(', ')} (strings).`,
    );
  }
}
