import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { EventMap } from '../handlers/event-map.js';
import type { EventValidator } from '../mediators/validation.js';
import type { Compression } from '../messages/compression/compression.js';
import { MAX_ID_LENGTH } from '../messages/correlation-id.js';
import type { EventClass } from '../messages/event.js';
import { MAX_NAME_LENGTH, type EventDeclaration } from '../messages/integration-event.decorator.js';
import { WIRE_HEADERS } from '../messages/message.js';
import type { MessageContext } from '../messages/message-context.js';
import { rebuildEvent } from '../messages/rebuild-event.js';
import type { Serializers } from '../messages/serializers.js';
import { oldestVersionOf, upcast } from '../messages/versions.js';
import { userHeaders, type ReceivedMessage } from './received-message.js';

/** A message whose event class is known here. */
export interface DecodedMessage {
  readonly eventClass: EventClass;
  /** Null for a tombstone. */
  readonly event: object | null;
  readonly context: MessageContext;
}

/** A message that this application does not want, which is no fault. */
export interface IgnoredMessage {
  /** Why, for logs. */
  readonly ignored: string;
}

/** More digits than any version has: what is longer is no version. */
const VERSION = /^[1-9]\d{0,8}$/;

/** Rebuilds the event of a received message, and checks all of it: every message is taken for hostile. */
export class MessageDecoder {
  constructor(
    private readonly options: ResolvedOptions,
    private readonly events: EventMap,
    private readonly compression: Compression,
    private readonly serializers: Serializers,
    private readonly validator: EventValidator,
  ) {}

  /**
   * The event in the version of its class: a payload of an older version goes through the upcasters, one of a newer version
   * is read as it is where the policy accepts it. A tombstone has no payload, and any version.
   *
   * @returns what is ignored for an event name that has no class here, since others' events share the topic, and for a
   *   newer version, if the policy says so
   * @throws {@link CqrsOutboxError} with code `MESSAGE_REJECTED` for what is no message of ours, has a version, content
   *   type or encoding that can't be read, or holds no valid event; with code `PAYLOAD_BYTES_LOST` for one that this
   *   application is not configured to receive
   */
  decode(message: ReceivedMessage): DecodedMessage | IgnoredMessage {
    const context = contextOf(message);
    const declaration = this.events.byName(context.name);
    if (!declaration) return { ignored: `No event class has the name ${context.name}` };
    const { eventClass } = declaration;
    if (message.payload === null) return { eventClass, event: null, context };
    const ignored = this.checkVersion(declaration, context);
    if (ignored) return ignored;
    const plain = this.read(declaration, context, message.payload, message);
    return { eventClass, event: this.rebuild(declaration, upcast(declaration, plain, context)), context };
  }

  private checkVersion(
    declaration: EventDeclaration,
    { version }: MessageContext,
  ): IgnoredMessage | undefined {
    const { name } = declaration;
    const unknown = `version ${version} of ${name} is unknown, the class here has ${declaration.version}`;
    if (version < oldestVersionOf(declaration)) throw rejected(`${unknown} and no upcaster from ${version}`);
    if (version <= declaration.version) return undefined;
    const policy = declaration.newerVersion ?? this.options.consumer.newerVersion;
    if (policy === 'reject') throw rejected(unknown);
    return policy === 'ignore' ? { ignored: `Newer ${unknown}` } : undefined;
  }

  private read(
    { name, eventClass }: EventDeclaration,
    { version }: MessageContext,
    payload: Buffer,
    { headers, areBytesLost }: ReceivedMessage,
  ): object {
    const contentType = headers[WIRE_HEADERS.contentType];
    const serializer = this.serializers.get(contentType);
    if (!serializer) {
      const known = this.serializers.contentTypes.join(', ');
      throw rejected(`no serializer reads ${printableType(contentType)}, there are ${known}`);
    }
    const contentEncoding = headers[WIRE_HEADERS.contentEncoding];
    if (areBytesLost && this.compression.canRead(contentEncoding)) throw bytesLost();
    const serialized = this.compression.decompress(payload, contentEncoding);
    let plain: unknown;
    try {
      plain = serializer.deserialize(serialized, { name, version, eventClass });
    } catch (cause) {
      throw rejected(`the payload can't be read: ${messageOf(cause)}`, cause);
    }
    if (typeof plain !== 'object' || plain === null || Array.isArray(plain))
      throw rejected('the payload is no object');
    return plain;
  }

  private rebuild(declaration: EventDeclaration, plain: object): object {
    try {
      const event = rebuildEvent(declaration, plain);
      this.validator.validate(declaration.name, event);
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
    version: versionOf(headers),
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

function versionOf(headers: Readonly<Record<string, string>>): number {
  const text = headers[WIRE_HEADERS.version] ?? '1';
  if (!VERSION.test(text)) throw rejected(`${WIRE_HEADERS.version} is no positive integer`);
  return Number(text);
}

/** The content type for a log line; it may be anything. */
function printableType(contentType: string | undefined): string {
  return JSON.stringify(contentType?.slice(0, 100));
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
    "Nest's Kafka server has made text of a payload that is none: set parser: { keepBinary: true } in its options and " +
      'start again; the message waits until then',
  );
}
