/**
 * The wire envelope: what a transport publishes and a consumer receives.
 *
 * On transports with headers it travels as CloudEvents 1.0 in binary mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md): the attributes as
 * `ce_*` headers, the value the payload alone.
 */
export interface Message {
  /** UUID version 7, the same at each delivery and each destination. */
  readonly id: string;
  /** Wire name of the event. */
  readonly name: string;
  readonly version: number;
  /** `source` of the publishing application's `forRoot`. */
  readonly source: string;
  readonly topic: string;
  /** Messages of one key keep their order. An event without a key has its message id here. */
  readonly key: string;
  /** When the event was appended, by the application's clock. */
  readonly occurredAt: Date;
  readonly correlationId: string;
  /** Id of the message whose handling caused this one. */
  readonly causationId: string | undefined;
  readonly contentType: string;
  /** How the payload is compressed (HTTP's name: `gzip`); undefined when it is not. */
  readonly contentEncoding: string | undefined;
  /** What the user gave to `append`, and the W3C Trace Context in which it was called, if any. */
  readonly headers: Readonly<Record<string, string>>;
  /** The encoded payload, compressed if `contentEncoding` says so; null is a tombstone. */
  readonly payload: Buffer | null;
}

/** Names of the headers that carry a {@link Message}'s attributes. */
export const WIRE_HEADERS = {
  id: 'ce_id',
  name: 'ce_type',
  source: 'ce_source',
  occurredAt: 'ce_time',
  specVersion: 'ce_specversion',
  key: 'ce_subject',
  version: 'ce_eventversion',
  correlationId: 'ce_correlationid',
  causationId: 'ce_causationid',
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  /** W3C Trace Context; stored and sent with the headers of a {@link Message}. */
  traceParent: 'traceparent',
  traceState: 'tracestate',
} as const;

const RESERVED: ReadonlySet<string> = new Set(Object.values(WIRE_HEADERS));

/** Whether a header belongs to the envelope, so that a user can't set it. */
export function isReservedHeader(name: string): boolean {
  if (RESERVED.has(name)) return true;
  const lowerCase = name.toLowerCase();
  return RESERVED.has(lowerCase) || lowerCase.startsWith('ce_');
}

/**
 * The headers of a message, in CloudEvents' binary mode. What the message says already is left out: its key, where the
 * transport has a place for it, and a correlation id that is its own id.
 */
export function toWireHeaders(message: Message): Record<string, string> {
  const headers: Record<string, string> = {
    ...message.headers,
    [WIRE_HEADERS.specVersion]: '1.0',
    [WIRE_HEADERS.id]: message.id,
    [WIRE_HEADERS.name]: message.name,
    [WIRE_HEADERS.source]: message.source,
    [WIRE_HEADERS.occurredAt]: message.occurredAt.toISOString(),
    [WIRE_HEADERS.version]: String(message.version),
    [WIRE_HEADERS.contentType]: message.contentType,
  };
  if (message.correlationId !== message.id) headers[WIRE_HEADERS.correlationId] = message.correlationId;
  if (message.causationId !== undefined) headers[WIRE_HEADERS.causationId] = message.causationId;
  if (message.contentEncoding !== undefined) headers[WIRE_HEADERS.contentEncoding] = message.contentEncoding;
  return headers;
}

/**
 * The headers as a store keeps them in one place: the user's, and of the attributes those that have no place of their own,
 * by their names on the wire. {@link fromStoredHeaders} takes them apart again.
 */
export function toStoredHeaders({
  headers,
  contentEncoding,
}: Pick<Message, 'headers' | 'contentEncoding'>): Record<string, string> {
  if (contentEncoding === undefined) return headers;
  return { ...headers, [WIRE_HEADERS.contentEncoding]: contentEncoding };
}

/** What {@link toStoredHeaders} has put together. */
export function fromStoredHeaders(
  stored: Readonly<Record<string, string>>,
): Pick<Message, 'headers' | 'contentEncoding'> {
  const { [WIRE_HEADERS.contentEncoding]: contentEncoding, ...headers } = stored;
  return { headers, contentEncoding };
}
