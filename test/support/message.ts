import { randomUUID } from 'node:crypto';
import type { Message } from '@cqrs-outbox/core';

/** A message with a new id, as the relay gives it to a transport. */
export function messageOf(given: Partial<Message> = {}): Message {
  const id = randomUUID();
  return {
    id,
    name: 'tests.happened',
    version: 1,
    source: 'tests',
    topic: 'tests',
    key: id,
    occurredAt: new Date('2030-01-02T03:04:05.678Z'),
    correlationId: id,
    causationId: undefined,
    contentType: 'application/json',
    contentEncoding: undefined,
    headers: {},
    payload: Buffer.from('{}'),
    ...given,
  };
}
