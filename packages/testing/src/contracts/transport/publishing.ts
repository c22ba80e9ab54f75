import assert from 'node:assert/strict';
import type { Message, PublishResult } from '@cqrs-outbox/core';
import { sampleMessage } from '../sample-message.js';
import type { ArrivedMessage, TransportFixture } from '../transport-harness.js';

/** Declares a test. */
export type DeclareTransportTest = (name: string, body: (fixture: TransportFixture) => Promise<void>) => void;

/** A message for the receiver. */
export function messageFor({ topic }: TransportFixture, given: Partial<Message> = {}): Message {
  return sampleMessage({ topic, ...given });
}

/** Publishes what must all be taken. */
export async function publishAll(
  { transport }: TransportFixture,
  messages: readonly Message[],
): Promise<void> {
  const results = await transport.publish(messages);
  const failed = results.filter(({ status }) => status !== 'published');
  assert.deepEqual(failed.map(describe), []);
  assert.equal(results.length, messages.length);
}

/** Publishes messages, and waits for all of them to arrive. */
export async function sendAll(
  fixture: TransportFixture,
  messages: readonly Message[],
): Promise<ArrivedMessage[]> {
  await publishAll(fixture, messages);
  return fixture.arrivals(messages.map(({ id }) => id));
}

/** A result, for a failure's text. */
export function describe({ status, error }: PublishResult): string {
  return error instanceof Error ? `${status}: ${error.message}` : status;
}
