import { slotOf, type OutboxEntry } from '@cqrs-outbox/core';
import { DESTINATION } from './settings.ts';

/** Somewhere in the past, so that no time is negative when the clock is set back. */
export const EPOCH = Date.UTC(2030, 0, 1);

/** An entry of which only what the relay looks at matters. */
export function entryOf(
  id: string,
  key: string,
  slotCount: number,
  deadLetterPolicy: OutboxEntry['deadLetterPolicy'],
  availableAt: Date | undefined,
): OutboxEntry {
  return {
    id,
    key,
    name: 'model.happened',
    version: 1,
    source: 'model',
    topic: 'model',
    destination: DESTINATION,
    slot: slotOf(key, slotCount),
    occurredAt: new Date(EPOCH),
    correlationId: id,
    causationId: undefined,
    contentEncoding: undefined,
    contentType: 'application/json',
    headers: {},
    payload: null,
    deadLetterPolicy,
    availableAt,
    strictOrder: false,
  };
}
