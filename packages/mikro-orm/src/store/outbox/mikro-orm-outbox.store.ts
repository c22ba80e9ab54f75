import {
  OutboxStore,
  type EntrySelection,
  type Failure,
  type FetchedEntries,
  type Lease,
  type PromotedEntries,
  type StoredEntry,
} from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { checkOutboxSchema } from '../../schema/check-outbox-schema.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { assignSlots } from './assign-slots.js';
import { buryEntry } from './bury-entry.js';
import { promoteEntries } from './promote-entries.js';
import { fetchEntries, fetchEntriesUpTo } from './read-entries.js';
import { recordFailure } from './record-failure.js';
import { removeEntries } from './remove-entries.js';

/** The outbox table behind MikroORM's connection. Every method runs outside of transactions of the application. */
export class MikroOrmOutboxStore extends OutboxStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async checkSchema(): Promise<void> {
    await checkOutboxSchema(this.connection);
    await this.connection.lookAtDatabase();
  }

  fetch(selection: EntrySelection): Promise<FetchedEntries> {
    return fetchEntries(this.connection, selection);
  }

  assignSlots(destination: string, slotCount: number): Promise<number> {
    return assignSlots(this.connection, destination, slotCount);
  }

  fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]> {
    return fetchEntriesUpTo(this.connection, { messageId, destination, limit });
  }

  remove(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<number> {
    return removeEntries(this.connection, entries, leases);
  }

  reschedule(entry: StoredEntry, delayMs: number, failure: Failure, lease: Lease): Promise<boolean> {
    return this.connection.withLockRetries((client) =>
      recordFailure(client, this.connection, { entry, delayMs, failure, lease }),
    );
  }

  bury(entry: StoredEntry, failure: Failure, lease: Lease): Promise<boolean> {
    return buryEntry(this.connection, { entry, failure, lease });
  }

  promote(lease: Lease, limit: number): Promise<PromotedEntries> {
    return promoteEntries(this.connection, lease, limit);
  }

  async count(destination: string): Promise<number> {
    const { rows } = await sql<{ total: number | string }>`
      select (select count(*) from cqrs_outbox where destination = ${destination})
        + (select count(*) from cqrs_outbox_delayed where destination = ${destination}) as total`.execute(
      await this.connection.client(),
    );
    return Number(rows[0]?.total ?? 0);
  }
}
