import type { MessagePart, RejectedMessage } from '@cqrs-outbox/core';
import type { Insertable } from 'kysely';
import type { OutboxDatabase } from '../../schema/tables.js';
import { printable } from '../printable-text.js';

/** What is kept of a hostile message. */
const MAX_TEXT_LENGTH = 2_000;
const MAX_STACK_LENGTH = 8_000;
const MAX_NAME_LENGTH = 191;
const MAX_KEY_LENGTH = 191;
const MAX_TOPIC_LENGTH = 255;
const MAX_HEADERS_LENGTH = 64 * 1024;
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

/** Columns that say why a message is set aside. */
export function toReason({
  reason,
  stack,
  attempts,
}: Pick<RejectedMessage, 'reason' | 'stack' | 'attempts'>) {
  return {
    reason: printable(reason, MAX_TEXT_LENGTH),
    stack: stack === undefined ? null : printable(stack, MAX_STACK_LENGTH),
    attempts,
  };
}

/** A message as the table takes it, with the parts that it can't take as they are; without `rejected_at`. */
export function toSetAsideRow(
  message: RejectedMessage,
): Omit<Insertable<OutboxDatabase['cqrs_inbox_dead_letter']>, 'rejected_at'> {
  const { coordinates, headers, payload, incompleteParts = [] } = message;
  const [topic, key] = [topicColumn(message.topic), keyColumn(message.key)];
  const keptHeaders = withinLimit(headers);
  const keptPayload = payload && payload.subarray(0, MAX_PAYLOAD_BYTES);
  const isCut: Record<MessagePart, boolean> = {
    topic: topic !== message.topic,
    key: (key ?? undefined) !== message.key,
    headers: keptHeaders !== headers,
    payload: keptPayload?.length !== payload?.length,
  };
  const parts = Object.keys(isCut) as MessagePart[];
  const incomplete = parts.filter((part) => isCut[part] || incompleteParts.includes(part));
  return {
    message_id: nameColumn(message.messageId),
    name: nameColumn(message.name),
    topic,
    message_key: key,
    coordinates: printable(coordinates, MAX_TEXT_LENGTH),
    ...toReason(message),
    headers: JSON.stringify(keptHeaders),
    payload: keptPayload,
    incomplete_parts: incomplete.length > 0 ? incomplete.join() : null,
  };
}

/** A message id, or an event's name, as its column has it. */
export function nameColumn(text: string | undefined): string | null {
  return text === undefined ? null : printable(text, MAX_NAME_LENGTH);
}

export function topicColumn(text: string): string {
  return printable(text, MAX_TOPIC_LENGTH);
}

export function keyColumn(text: string | undefined): string | null {
  return text === undefined ? null : printable(text, MAX_KEY_LENGTH);
}

/** The headers, or as many of them as fit, so that what is kept can be read again. */
function withinLimit(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (JSON.stringify(headers).length <= MAX_HEADERS_LENGTH) return headers;
  let length = 0;
  const kept = Object.entries(headers).filter(([name, value]) => {
    // With two brackets, which are more than the comma that it takes.
    const size = JSON.stringify({ [name]: value }).length;
    if (length + size > MAX_HEADERS_LENGTH) return false;
    length += size;
    return true;
  });
  return Object.fromEntries(kept);
}
