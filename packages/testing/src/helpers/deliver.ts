import { randomUUID } from 'node:crypto';
import {
  EventConsumer,
  EventMap,
  InMemoryContext,
  Serializer,
  toWireHeaders,
  type OutboundEvent,
} from '@cqrs-outbox/core';
import type { AppParts } from './app-parts.js';

/** What may be said of a message that a test delivers. */
export interface DeliverOptions {
  /** @defaultValue a new one */
  readonly messageId?: string;
  /** The user's headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Hands an event to the consumer of the application, as the in-memory transport does with a message. */
export async function deliver(
  app: AppParts,
  event: OutboundEvent,
  { messageId = randomUUID(), headers = {} }: DeliverOptions = {},
): Promise<void> {
  const declaration = app.get(EventMap, { strict: false }).declare(event.constructor);
  const serializer = app.get(Serializer, { strict: false });
  const { name, version, topic } = declaration;
  const key = declaration.key?.(event) ?? messageId;
  const wireHeaders = toWireHeaders({
    id: messageId,
    name,
    version,
    source: 'test',
    topic,
    key,
    occurredAt: new Date(),
    correlationId: messageId,
    causationId: undefined,
    contentType: serializer.contentType,
    contentEncoding: undefined,
    headers,
    payload: null,
  });
  const message = { topic, key, headers: wireHeaders, value: serializer.serialize(event, declaration) };
  await app.get(EventConsumer, { strict: false }).consume(undefined, new InMemoryContext([message]));
}
