import { randomUUID } from 'node:crypto';
import type { Message, OutboxEntry } from '@cqrs-outbox/core';

/** The destination of a {@link sampleEntry} unless another is given. */
export const SAMPLE_DESTINATION = 'default';

/** A valid message with a new id and, unless given, a key of its own. */
export function sampleMessage(given: Partial<Message> = {}): Message {
  const id = randomUUID();
  return {
    id,
    name: 'contract.happened',
    version: 1,
    source: 'contract',
    topic: 'contract',
    key: id,
    occurredAt: new Date('2030-01-02T03:04:05.678Z'),
    correlationId: id,
    causationId: undefined,
    contentType: 'application/json',
    headers: {},
    payload: Buffer.from('{"sample":true}'),
    ...given,
  };
}

/** A valid entry, like {@link sampleMessage}. */
export function sampleEntry(given: Partial<OutboxEntry> = {}): OutboxEntry {
  return { ...sampleMessage(given), destination: given.destination ?? SAMPLE_DESTINATION };
}
