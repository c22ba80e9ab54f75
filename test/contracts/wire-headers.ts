import { WIRE_HEADERS, type Envelope, type Message } from '@cqrs-outbox/core';

/** The headers that a message has on transports with headers, for those that have none. */
export function wireHeadersOf(message: Envelope | Message): Record<string, string> {
  const { id, name, source, key, version, correlationId, causationId } = message;
  const { contentType, contentEncoding, occurredAt } = message;
  const content = { contentType, contentEncoding };
  const attributes = { id, name, source, key, version, correlationId, causationId, ...content };
  const headers: Record<string, string> = { ...message.headers };
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) headers[WIRE_HEADERS[attribute as keyof typeof attributes]] = String(value);
  }
  headers[WIRE_HEADERS.occurredAt] = typeof occurredAt === 'string' ? occurredAt : occurredAt.toISOString();
  return headers;
}
