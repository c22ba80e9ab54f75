import { randomUUID } from 'node:crypto';
import { slotOf, slotsOf, type Message, type OutboxEntry } from '@cqrs-outbox/core';

/** The destination of a {@link sampleEntry} unless another is given. */
export const SAMPLE_DESTINATION = 'default';

/** Into how many slots the suites divide the keys. */
export const SAMPLE_SLOT_COUNT = 4;

/** The slots of the suites, in order. */
export const SAMPLE_SLOTS: readonly number[] = Array.from(
  { length: SAMPLE_SLOT_COUNT },
  (_, index) => slotsOf(SAMPLE_SLOT_COUNT).first + index,
);

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
    contentEncoding: undefined,
    headers: {},
    payload: Buffer.from('{"sample":true}'),
    ...given,
  };
}

/** A valid entry, like {@link sampleMessage}, in the slot of its key. */
export function sampleEntry(given: Partial<OutboxEntry> = {}): OutboxEntry {
  const message = sampleMessage(given);
  return {
    destination: SAMPLE_DESTINATION,
    slot: slotOf(message.key, SAMPLE_SLOT_COUNT),
    deadLetterPolicy: 'continue',
    availableAt: undefined,
    strictOrder: false,
    ...message,
    ...given,
  };
}

/** A key of one of the {@link SAMPLE_SLOTS}; for each number another one. */
export function keyInSlot(slot: number | undefined, number = 0): string {
  if (slot === undefined) throw new Error('There is no such slot.');
  for (let index = 0, found = 0; ; index++) {
    const key = `key ${index}`;
    if (slotOf(key, SAMPLE_SLOT_COUNT) === slot && found++ === number) return key;
  }
}
