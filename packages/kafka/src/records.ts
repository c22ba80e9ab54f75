import { toWireHeaders, type Message } from '@cqrs-outbox/core';
import type { MessageToProduce } from '@platformatic/kafka';
import { partitionOf } from './murmur2.js';

/** A message as the client takes it: bytes throughout. */
export type KafkaRecord = MessageToProduce & { readonly partition: number };

export function recordOf(message: Message, partitionCount: number): KafkaRecord {
  const { topic, payload } = message;
  const key = Buffer.from(message.key);
  const headers = new Map<Buffer, Buffer>();
  for (const [name, value] of Object.entries(toWireHeaders(message))) {
    headers.set(Buffer.from(name), Buffer.from(value));
  }
  const record = { topic, key, headers, partition: partitionOf(key, partitionCount) };
  // Without a value it is a tombstone.
  return payload ? { ...record, value: payload } : record;
}
