import { KafkaContext, RmqContext } from '@nestjs/microservices';
import { isTextual } from '../messages/content-type.js';
import { WIRE_HEADERS, isReservedHeader } from '../messages/message.js';
import type { Envelope } from '../transports/client-proxy.transport.js';
import { InMemoryContext } from '../transports/in-memory.transport.js';

/** A message in one form, whatever transport it came by; nothing in it is trusted yet. */
export interface ReceivedMessage {
  /** All headers, as text. */
  readonly headers: Readonly<Record<string, string>>;
  /** The payload's bytes; null for a tombstone. */
  readonly payload: Buffer | null;
  /** Whether these bytes are not those that were sent: the transport has read what is no text as text. */
  readonly areBytesLost?: boolean;
  readonly topic: string;
  readonly key: string | undefined;
  /** Where it was, for logs. */
  readonly coordinates: string;
}

/** `message 42 (orders.paid) at kafka orders[3]@7`, for logs. */
export function describeMessage({ headers, coordinates }: ReceivedMessage): string {
  return `message ${headers[WIRE_HEADERS.id] ?? '(no id)'} (${headers[WIRE_HEADERS.name] ?? 'no name'}) at ${coordinates}`;
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
    headers,
    payload: toBytes(value),
    // Without keepBinary, Nest's server makes text of whatever does not begin with a NUL.
    areBytesLost: !Buffer.isBuffer(value) && !isTextual(headers[WIRE_HEADERS.contentType]),
    topic: context.getTopic(),
    key: key ? String(key) : undefined,
    coordinates: `kafka ${context.getTopic()}[${context.getPartition()}]@${offset}`,
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
    headers,
    payload: toBytes(data, headers[WIRE_HEADERS.contentType]),
    topic: exchange || routingKey,
    key: headers[WIRE_HEADERS.key],
    coordinates: `rabbitmq ${exchange || '(default)'}/${routingKey}#${deliveryTag}`,
  };
}

function fromMemory(context: InMemoryContext): ReceivedMessage {
  const { topic, key, headers, value } = context.getMessage();
  return { headers, payload: value, topic, key, coordinates: `memory ${topic}/${key}` };
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
] as const;

function fromEnvelope(payload: unknown, context: unknown): ReceivedMessage {
  const envelope: Partial<Record<keyof Envelope, unknown>> = isRecord(payload) ? payload : {};
  const headers = textHeaders(envelope.headers);
  for (const attribute of ATTRIBUTES) {
    const value = textOf(envelope[attribute]);
    if (value !== undefined) headers[WIRE_HEADERS[attribute]] = value;
  }
  return {
    headers,
    payload: toBytes(envelope.payload, headers[WIRE_HEADERS.contentType]),
    topic: textOf(envelope.topic) ?? '',
    key: headers[WIRE_HEADERS.key],
    coordinates: contextName(context),
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
function toBytes(value: unknown, contentType = 'application/json'): Buffer | null {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'string') return jsonBytes(value);
  return contentType === 'application/json' ? Buffer.from(value) : Buffer.from(value, 'base64');
}

/** Nothing, which is no JSON, for what is nested too deeply to be written: it is set aside then. */
function jsonBytes(value: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(value));
  } catch {
    return Buffer.alloc(0);
  }
}

function textHeaders(headers: unknown): Record<string, string> {
  const text: Record<string, string> = {};
  for (const [name, value] of isRecord(headers) ? Object.entries(headers) : []) {
    const header = textOf(value);
    if (header !== undefined) text[name] = header;
  }
  return text;
}

function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : jsonBytes(value).toString('utf8');
}

/** The headers that are the user's own. */
export function userHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !isReservedHeader(name)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
