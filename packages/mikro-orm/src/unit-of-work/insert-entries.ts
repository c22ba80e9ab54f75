import type { OutboxEntry } from '@cqrs-outbox/core';
import type { OutboxTransaction } from '../schema/tables.js';
import { inserts, toRow } from '../store/entry-rows.js';

/** Inserts entries in their order, and delayed ones where they wait. */
export async function insertEntries(
  transaction: OutboxTransaction,
  entries: readonly OutboxEntry[],
): Promise<void> {
  for (const batch of inserts(entries.filter(({ availableAt }) => availableAt === undefined)))
    await transaction.insertInto('cqrs_outbox').values(batch.map(toRow)).execute();
  for (const batch of inserts(entries.filter(({ availableAt }) => availableAt !== undefined)))
    await transaction
      .insertInto('cqrs_outbox_delayed')
      .values(batch.map((entry) => ({ ...toRow(entry), available_at: entry.availableAt?.getTime() ?? 0 })))
      .execute();
}
