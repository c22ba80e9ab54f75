import type { StoredEntry } from '../outbox/outbox-entry.js';
import type { Lease } from '../relay/leases/lease-store.js';

/** Which archived entries; all conditions must hold. */
export interface ArchiveSelection {
  /** Published at or after. */
  readonly from?: Date;
  /** Published before. */
  readonly to?: Date;
  readonly key?: string;
  /** Wire name of the event. */
  readonly name?: string;
  readonly destination?: string;
}

/** Port: published entries that are kept. Outside of transactions of the caller, each method atomic. */
export abstract class ArchiveStore {
  /** Copies published entries out of the outbox; one that is there already stays as it is. Fenced as {@link OutboxStore.remove}. */
  abstract add(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<void>;

  /**
   * Appends copies of archived entries to the outbox: same message ids, in the order in which they were published first,
   * at the end. One that is in the outbox is left out. 500 at most each time. They wait for a slot until
   * {@link OutboxStore.assignSlots}.
   *
   * @param after only those after this position
   * @returns how many were appended, and the position of the last that was looked at; undefined when none is left
   */
  abstract replay(
    selection: ArchiveSelection,
    after: string | undefined,
  ): Promise<{ replayed: number; last: string | undefined }>;

  /** Deletes `limit` entries at most that were published over `retentionMs` ago. @returns how many */
  abstract purge(retentionMs: number, limit: number): Promise<number>;
}
