import type { InboxDeadLetter, InboxDeadLetterSelection, MessagePart } from '@cqrs-outbox/core';
import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { OutboxDatabase } from '../../schema/tables.js';
import { readHeaders } from '../entry-rows.js';
import { keyColumn, MAX_PAYLOAD_BYTES, nameColumn, topicColumn } from './set-aside-row.js';

/** A row of cqrs_inbox_dead_letter without its payload. */
export type LetterRow = Omit<Selectable<OutboxDatabase['cqrs_inbox_dead_letter']>, 'payload'> & {
  /** Null for a tombstone. */
  payload_bytes: number | string | null;
};

/** The columns of a {@link LetterRow}. */
export const LETTER_COLUMNS = sql`
  id, message_id, name, topic, message_key, coordinates, reason, stack, attempts, headers, incomplete_parts,
  rejected_at, length(payload) as payload_bytes`;

/** Texts are compared as their columns have them. */
export function letterConditions(selection: InboxDeadLetterSelection): RawBuilder<boolean> {
  const { deadLetterId, messageId, name, topic, key, upTo } = selection;
  const conditions = [sql`1 = 1`];
  if (deadLetterId !== undefined) conditions.push(sql`id = ${BigInt(deadLetterId)}`);
  if (messageId !== undefined) conditions.push(sql`message_id = ${nameColumn(messageId)}`);
  if (name !== undefined) conditions.push(sql`name = ${nameColumn(name)}`);
  if (topic !== undefined) conditions.push(sql`topic = ${topicColumn(topic)}`);
  if (key !== undefined) conditions.push(sql`message_key = ${keyColumn(key)}`);
  if (upTo !== undefined) conditions.push(sql`id <= ${BigInt(upTo)}`);
  return sql`${sql.join(conditions, sql` and `)}`;
}

export function toLetter(row: LetterRow): InboxDeadLetter {
  const headers = readHeaders(row.headers);
  const payloadBytes = row.payload_bytes === null ? undefined : Number(row.payload_bytes);
  return {
    deadLetterId: String(row.id),
    messageId: row.message_id ?? undefined,
    name: row.name ?? undefined,
    topic: row.topic ?? '',
    key: row.message_key ?? undefined,
    coordinates: row.coordinates,
    reason: row.reason,
    stack: row.stack ?? undefined,
    attempts: row.attempts,
    headers: headers ?? {},
    payloadBytes,
    incompleteParts: readIncompleteParts(row, headers !== undefined),
    rejectedAt: new Date(Number(row.rejected_at)),
  };
}

/** Version 2 did not say what it had cut, and kept neither topic nor key. */
function readIncompleteParts(row: LetterRow, areHeadersReadable: boolean): MessagePart[] {
  const parts = new Set(row.incomplete_parts?.split(',') as MessagePart[] | undefined);
  if (row.topic === null) parts.add('topic').add('key');
  if (row.topic === null && Number(row.payload_bytes) >= MAX_PAYLOAD_BYTES) parts.add('payload');
  if (!areHeadersReadable) parts.add('headers');
  return [...parts];
}
