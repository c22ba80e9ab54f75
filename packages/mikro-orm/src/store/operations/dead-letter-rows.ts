import type { DeadLetter, DeadLetterSelection } from '@cqrs-outbox/core';
import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { OutboxDatabase } from '../../schema/tables.js';
import { toContent } from '../entry-rows.js';
import { readHistory } from '../failure-history.js';

/** A row `d` of cqrs_outbox_dead_letter, and whether its key waits for it. */
export type DeadLetterRow = Selectable<OutboxDatabase['cqrs_outbox_dead_letter']> & {
  is_parking: number | string;
};

/** False after a crash in the middle of burying: the entry will be retried. */
export const isBuried: RawBuilder<boolean> = sql`not exists (select 1 from cqrs_outbox o where o.id = d.position)`;

export const isParking: RawBuilder<boolean> = sql`exists (
  select 1 from cqrs_outbox_retry r
  where r.destination = d.destination and r.message_key = d.message_key
    and r.entry_id = d.position and r.retry_at is null)`;

export function deadLetterConditions({
  messageId,
  destination,
  key,
  name,
  upTo,
}: DeadLetterSelection): RawBuilder<boolean> {
  const conditions = [isBuried];
  if (messageId !== undefined) conditions.push(sql`d.message_id = ${messageId}`);
  if (destination !== undefined) conditions.push(sql`d.destination = ${destination}`);
  if (key !== undefined) conditions.push(sql`d.message_key = ${key}`);
  if (name !== undefined) conditions.push(sql`d.name = ${name}`);
  if (upTo !== undefined) conditions.push(sql`d.id <= ${BigInt(upTo)}`);
  return sql`${sql.join(conditions, sql` and `)}`;
}

export function toDeadLetter(row: DeadLetterRow): DeadLetter {
  const { unreadable: _, ...content } = toContent(row);
  return {
    ...content,
    deadLetterId: String(row.id),
    attempts: row.attempts,
    error: row.last_error,
    stack: row.stack ?? undefined,
    history: readHistory(row.history),
    failedAt: new Date(Number(row.failed_at)),
    isParking: Number(row.is_parking) === 1,
  };
}
