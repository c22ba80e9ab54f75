import { Injectable } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import { EventMap } from '../handlers/event-map.js';
import { EventValidator } from '../mediators/validation.js';
import { Compression } from '../messages/compression/compression.js';
import { MAX_ID_LENGTH } from '../messages/correlation-id.js';
import type { EventClass } from '../messages/event.js';
import { MAX_NAME_LENGTH, type EventDeclaration } from '../messages/integration-event.decorator.js';
import { WIRE_HEADERS } from '../messages/message.js';
import type { MessageContext } from '../messages/message-context.js';
import { Serializer } from '../messages/serializer.js';
import { userHeaders, type ReceivedMessage } from './received-message.js';

/** A message whose event class is known here. */
export interface DecodedMessage {
  readonly eventClass: EventClass;
  /** Null for a tombstone. */
  readonly event: object | null;
  readonly context: MessageContext;
}

/** Rebuilds the event of a received message, and checks all of it: every message is taken for hostile. */
@Injectable()
export class MessageDecoder {
  constructor(
    private readonly events: EventMap,
    private readonly serializer: Serializer,
    private readonly compression: Compression,
    private readonly validator: EventValidator,
  ) {}

  /**
   * @returns undefined for an event name that has no class here, which is no fault: others' events share the topic
   * @throws {@link CqrsOutboxError} with code `MESSAGE_REJECTED` for what is no message of ours, has another version, or
   *   holds no valid event; with code `PAYLOAD_BYTES_LOST` for one that this application is not configured to receive
   */
  decode(message: ReceivedMessage): DecodedMessage | undefined {
    const context = contextOf(message);
    const declaration = this.events.byName(context.name);
    if (!declaration) return undefined;
    if (declaration.version !== context.version) {
      throw rejected(
        `version ${context.version} of ${context.name} is unknown, the class here has ${declaration.version}`,
      );
    }
    const payload = this.decompressed(message);
    return { eventClass: declaration.eventClass, event: this.rebuild(declaration, payload), context };
  }

  private decompressed({ payload, headers, areBytesLost }: ReceivedMessage): Buffer | null {
    if (payload === null) return null;
    if (areBytesLost) throw bytesLost();
    return this.compression.decompress(payload, headers[WIRE_HEADERS.contentEncoding]);
  }

  private rebuild({ eventClass, name }: EventDeclaration, payload: Buffer | null): object | null {
    if (payload === null) return null;
    let plain: unknown;
    try {
      plain = this.serializer.deserialize(payload);
    } catch (cause) {
      throw rejected(`the payload can't be read: ${messageOf(cause)}`, cause);
    }
    if (typeof plain !== 'object' || plain === null || Array.isArray(plain))
      throw rejected('the payload is no object');
    try {
      const event = plainToInstance(eventClass, plain);
      this.validator.validate(name, event);
      return event;
    } catch (cause) {
      throw rejected(messageOf(cause), cause);
    }
  }
}

function contextOf({ headers, topic, key, coordinates }: ReceivedMessage): MessageContext {
  const messageId = attribute(headers, 'id', MAX_ID_LENGTH);
  const name = attribute(headers, 'name', MAX_NAME_LENGTH);
  if (!messageId || !name)
    throw rejected(`it has no ${WIRE_HEADERS.id} or ${WIRE_HEADERS.name}, so it is none of ours`);
  const occurredAt = new Date(headers[WIRE_HEADERS.occurredAt] ?? Number.NaN);
  return {
    messageId,
    name,
    version: Number(headers[WIRE_HEADERS.version] ?? 1),
    source: headers[WIRE_HEADERS.source] ?? '',
    topic,
    key: headers[WIRE_HEADERS.key] ?? key ?? messageId,
    occurredAt: Number.isNaN(occurredAt.getTime()) ? new Date() : occurredAt,
    correlationId: attribute(headers, 'correlationId', MAX_ID_LENGTH) ?? messageId,
    causationId: attribute(headers, 'causationId', MAX_ID_LENGTH),
    headers: userHeaders(headers),
    coordinates,
  };
}

/** An attribute that is stored again, in the inbox or with the events that this message causes. */
function attribute(
  headers: Readonly<Record<string, string>>,
  attributeName: keyof typeof WIRE_HEADERS,
  maxLength: number,
): string | undefined {
  const header = WIRE_HEADERS[attributeName];
  const value = headers[header];
  if (value === undefined || value === '') return undefined;
  // Databases differ in whether trailing white space and NUL count, and the inbox must not mistake two ids for one.
  if (value.length > maxLength || /[\s\0]/.test(value))
    throw rejected(`${header} is over ${maxLength} characters or has white space`);
  return value;
}

function rejected(why: string, cause?: unknown): CqrsOutboxError {
  return new CqrsOutboxError('MESSAGE_REJECTED', why, { cause });
}

/** No fault of the message, which must not be given up for it. */
function bytesLost(): CqrsOutboxError {
  return new CqrsOutboxError(
    'PAYLOAD_BYTES_LOST',
    "Nest's Kafka server has made text of a compressed payload: set parser: { keepBinary: true } in its options, and the " +
      'message will be read when it is delivered again',
  );
}
