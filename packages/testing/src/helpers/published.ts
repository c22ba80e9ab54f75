import { BUILT_IN_COMPRESSORS, EventMap, type EventClass, type Message } from '@cqrs-outbox/core';
import type { RecordingTransport } from '../transports/recording-transport.js';

/** More than any message has. */
const MAX_BYTES = 1024 ** 3;

/** A message that was published, with its payload readable. */
export interface PublishedEvent extends Omit<Message, 'payload'> {
  /**
   * The structure itself for JSON, compressed or not; the bytes for any other content type and for what another than the
   * ready compressors has written; null for a tombstone.
   */
  readonly payload: unknown;
}

/**
 * What was published, oldest first: all of it, or the events of one class.
 *
 * @throws `CqrsOutboxError` with code `EVENT_NOT_DECLARED` for a class without `@IntegrationEvent`
 * @example
 * expect(published(transport, MeetingRoomClosed).map(({ payload }) => payload)).toEqual([{ meetingId: 7 }]);
 */
export function published(transport: RecordingTransport, eventClass?: EventClass): PublishedEvent[] {
  const name = eventClass && new EventMap().declare(eventClass).name;
  return transport.published.filter((message) => message.name === (name ?? message.name)).map(readable);
}

/** The message with its payload readable. */
export function readable<M extends Message>(message: M): Omit<M, 'payload'> & { readonly payload: unknown } {
  const payload = decompressed(message);
  if (!payload || message.contentType !== 'application/json') return message;
  return { ...message, payload: JSON.parse(payload.toString('utf8')) as unknown };
}

/** Undefined for what can't be read here. */
export function decompressed({ payload, contentEncoding }: Message): Buffer | null | undefined {
  if (contentEncoding === undefined || payload === null) return payload;
  const compressor = BUILT_IN_COMPRESSORS.find((candidate) => candidate.contentEncoding === contentEncoding);
  return compressor?.decompress(payload, MAX_BYTES);
}
