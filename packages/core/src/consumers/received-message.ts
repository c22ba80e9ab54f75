import { KafkaContext, RmqContext } from '@nestjs/microservices';
import { encodingOf } from '../messages/compression/compression.js';
import { isTextual } from '../messages/content-type.js';
import { isId } from '../messages/correlation-id.js';
import { WIRE_HEADERS, isReservedHeader } from '../messages/message.js';
import type { Envelope } from '../transports/client-proxy.transport.js';
import { InMemoryContext } from '../transports/in-memory.transport.js';

/** A message in one form, whatever transport it came by; nothing in it is trusted yet. */
export interface ReceivedMessage {
  /** All headers, as text, in an object without a prototype; of too many, those that fit. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of all headers as they came, names included, in UTF-8. */
  readonly headerBytes: number;
  /** The payload's bytes; null for a tombstone. */
  readonly payload: Buffer | null;
  /** Whether these bytes are not those that were sent: the transport has read what is no text as text. */
  readonly areBytesLost?: boolean;
  readonly topic: string;
  readonly key: string | undefined;
  /** Where it was, for logs. */
  readonly coordinates: string;
  /** Where it was, for traces. */
  readonly origin?: MessageOrigin;
}

/** The place of a message in a messaging system. */
export interface MessageOrigin {
  readonly system: string;
  readonly partition?: string;
  readonly offset?: string;
}

/** Publishers of ours keep to 16 KiB; a broker may let a megabyte pass. */
export const MAX_HEADER_BYTES = 64 * 1024;
/** What a log line shows of a text that anyone may have written. */
const MAX_SHOWN_LENGTH = 200;

/** `message 42 (orders.paid, correlation 41) at kafka orders[3]@7`, for logs. */
export function describeMessage({
  headers,
  coordinates,
}: Pick<ReceivedMessage, 'headers' | 'coordinates'>): string {
  const id = shown(headers[WIRE_HEADERS.id] ?? '(no id)');
  const { [WIRE_HEADERS.correlationId]: correlationId } = headers;
  const correlation = isId(correlationId) ? `, correlation ${shown(correlationId)}` : '';
  return `message ${id} (${shown(headers[WIRE_HEADERS.name] ?? 'no name')}${correlation}) at ${shown(coordinates)}`;
}

/** One short line, whatever the text is. */
function shown(text: string): string {
  // eslint-disable-next-line no-control-regex -- a line break would let a message write log lines of its own
  return text.slice(0, MAX_SHOWN_LENGTH).replaceAll(/[\x00-\x1f\x7f]/g, '\uFFFD');
}

/** Brings what a Nest controller gets into one form. It does not throw for any input. */
export function receive(payload: unknown, context: unknown): ReceivedMessage {
  if (context instanceof KafkaContext) return fromKafka(context);
  if (context instanceof RmqContext) return fromRabbitMq(payload, context);
  if (context instanceof InMemoryContext) return fromMemory(context);
  return fromEnvelope(payload, context);
}

function fromKafka(context: KafkaContext): ReceivedMessage {
  const { value, key, headers: given, offset } = context.getMessage();
  const headers = textHeaders(given);
  return {
    ...boundedHeaders(headers),
    payload: toBytes(value),
    // Without keepBinary, Nest's server makes text of whatever does not begin with a NUL, and what it can of that.
    areBytesLost: isParsed(value) && (isCompressed(headers) || !isTextual(headers[WIRE_HEADERS.contentType])),
    topic: context.getTopic(),
    // Nest has parsed a key that looks like JSON.
    key: textOf(key) || undefined,
    coordinates: `kafka ${context.getTopic()}[${context.getPartition()}]@${offset}`,
    origin: { system: 'kafka', partition: String(context.getPartition()), offset },
  };
}

/** The part of amqplib's message that we read. */
interface AmqpMessage {
  readonly fields?: { exchange?: string; routingKey?: string; deliveryTag?: number };
  readonly properties?: { headers?: Record<string, unknown> };
}

function fromRabbitMq(data: unknown, context: RmqContext): ReceivedMessage {
  const { fields = {}, properties = {} } = context.getMessage() as AmqpMessage;
  const headers = textHeaders(properties.headers);
  const { exchange = '', routingKey = '', deliveryTag = 0 } = fields;
  return {
    ...boundedHeaders(headers),
    payload: toBytes(data, headers),
    topic: exchange || routingKey,
    key: headers[WIRE_HEADERS.key],
    coordinates: `rabbitmq ${exchange || '(default)'}/${routingKey}#${deliveryTag}`,
    origin: { system: 'rabbitmq' },
  };
}

function fromMemory(context: InMemoryContext): ReceivedMessage {
  const { topic, key, headers, value } = context.getMessage();
  const coordinates = `memory ${topic}/${key}`;
  const origin = { system: 'memory' };
  return { ...boundedHeaders(textHeaders(headers)), payload: value, topic, key, coordinates, origin };
}

/** What an envelope has beside the user's headers. */
const ATTRIBUTES = [
  'id',
  'name',
  'source',
  'occurredAt',
  'key',
  'version',
  'correlationId',
  'causationId',
  'contentType',
  'contentEncoding',
] as const;

function fromEnvelope(payload: unknown, context: unknown): ReceivedMessage {
  const envelope: Partial<Record<keyof Envelope, unknown>> = isRecord(payload) ? payload : {};
  const headers = textHeaders(envelope.headers);
  for (const attribute of ATTRIBUTES) {
    const value = textOf(envelope[attribute]);
    if (value !== undefined) headers[WIRE_HEADERS[attribute]] = value;
  }
  return {
    ...boundedHeaders(headers),
    payload: toBytes(envelope.payload, headers),
    topic: textOf(envelope.topic) ?? '',
    key: headers[WIRE_HEADERS.key],
    coordinates: contextName(context),
    origin: { system: contextName(context) },
  };
}

function contextName(context: unknown): string {
  return isRecord(context)
    ? context.constructor.name.replace(/Context$/, '').toLowerCase()
    : 'unknown transport';
}

/**
 * The bytes again of what Nest has parsed already. JSON that is parsed and written once more keeps its meaning; text
 * that was no JSON stays as it is, to be found out later.
 */
function toBytes(value: unknown, headers: Readonly<Record<string, string>> = {}): Buffer | null {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'string') return jsonBytes(value);
  const { [WIRE_HEADERS.contentType]: contentType = 'application/json' } = headers;
  const isText = contentType === 'application/json' && !isCompressed(headers);
  return Buffer.from(value, isText ? 'utf8' : 'base64');
}

/** Nothing, which is no JSON, for what is nested too deeply to be written: it is set aside then. */
function jsonBytes(value: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(value));
  } catch {
    return Buffer.alloc(0);
  }
}

function isParsed(value: unknown): boolean {
  return value !== null && value !== undefined && !Buffer.isBuffer(value);
}

function isCompressed(headers: Readonly<Record<string, string>>): boolean {
  return encodingOf(headers[WIRE_HEADERS.contentEncoding]) !== undefined;
}

/** Without a prototype, so that a header named `__proto__` is a header like any other. */
function textHeaders(headers: unknown): Record<string, string> {
  const text = Object.create(null) as Record<string, string>;
  if (!isRecord(headers)) return text;
  for (const name of Object.keys(headers)) {
    const header = textOf(headers[name]);
    if (header !== undefined) text[name] = header;
  }
  return text;
}

/** Leaves out what is over the limit: nothing that large is kept or logged. What the message says of itself comes first. */
function boundedHeaders(all: Record<string, string>): Pick<ReceivedMessage, 'headers' | 'headerBytes'> {
  const headerBytes = headerBytesOf(all);
  if (headerBytes <= MAX_HEADER_BYTES) return { headers: all, headerBytes };
  const headers = Object.create(null) as Record<string, string>;
  let room = MAX_HEADER_BYTES;
  const isOfUser = ([name]: readonly [string, ...unknown[]]): number => Number(!isReservedHeader(name));
  for (const [name, value] of Object.entries(all).toSorted((a, b) => isOfUser(a) - isOfUser(b))) {
    const size = headerBytesOf({ [name]: value });
    if (size > room) continue;
    room -= size;
    headers[name] = value;
  }
  return { headers, headerBytes };
}

/** Names included, in UTF-8. */
export function headerBytesOf(headers: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const name of Object.keys(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(headers[name] ?? '');
  return bytes;
}

function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : jsonBytes(value).toString('utf8');
}

/** The headers that are the user's own. */
export function userHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.keys(headers).filter((name) => !isReservedHeader(name));
  return Object.fromEntries(names.map((name) => [name, headers[name] ?? '']));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
