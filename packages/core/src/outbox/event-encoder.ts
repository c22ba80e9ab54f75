import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { EventMap } from '../handlers/event-map.js';
import type { EventValidator } from '../mediators/validation.js';
import type { Compression, EncodedPayload } from '../messages/compression/compression.js';
import { applySchema } from '../messages/event-schema.js';
import type { OutboundEvent } from '../messages/event.js';
import { MAX_NAME_LENGTH, type EventDeclaration } from '../messages/integration-event.decorator.js';
import { isReservedHeader } from '../messages/message.js';
import type { Serializer } from '../messages/serializer.js';
import type { Tracing } from '../tracing/tracing.js';
import type { Transports } from '../transports/transports.js';
import type { ExecutionScope } from '../unit-of-work/execution-scope.js';
import { destinationsOf } from './destinations.js';
import { MessageIds } from './message-ids.js';
import type { OutboxEntry } from './outbox-entry.js';
import { slotOf } from './slots.js';

/** Brokers take headers for a small thing: RabbitMQ's must fit into one frame. */
const MAX_HEADERS_BYTES = 16 * 1024;
/** AMQP's limit of a short string. */
const MAX_HEADER_NAME_BYTES = 255;

/** What a user may add to an event when emitting it. */
export interface EmitOptions {
  /** Headers of the message, at most 16 KiB in all. Names that the envelope uses (`ce_*`, `content-type`,
   * `content-encoding`, `traceparent`, `tracestate`) are refused. */
  headers?: Readonly<Record<string, string>>;
}

/** What a user may add to an event when appending it. */
export interface AppendOptions extends EmitOptions {
  /**
   * Publishes the event at this time, by the database's clock, or a little later (at most about one tick of the relay);
   * at once when it is past. The order of its key counts from then: it comes after what the key has appended until it is
   * due, and before what it appends later.
   */
  availableAt?: Date;
}

/** Turns an event into entries, one per destination, all with the same message id. Everything invalid is found here. */
export class EventEncoder {
  readonly #ids = new MessageIds();

  constructor(
    private readonly options: ResolvedOptions,
    private readonly events: EventMap,
    private readonly validator: EventValidator,
    private readonly serializer: Serializer,
    private readonly compression: Compression,
    private readonly scope: ExecutionScope,
    private readonly transports: Transports,
    private readonly tracing: Tracing,
  ) {}

  /** @throws {@link CqrsOutboxError}, see {@link Outbox.append} */
  encode(event: OutboundEvent, options: AppendOptions = {}): OutboxEntry[] {
    const declaration = this.events.declare(event.constructor);
    this.validator.validate(declaration.name, event);
    const content = this.compress(declaration, this.serialize(declaration, event));
    return this.entriesOf(declaration, content, keyOf(declaration, event), options);
  }

  /** Entries with a null payload for an aggregate's key. */
  encodeTombstone(eventClass: object, key: string, options: AppendOptions = {}): OutboxEntry[] {
    const declaration = this.events.declare(eventClass);
    return this.entriesOf(declaration, TOMBSTONE, checkedKey(declaration, key), options);
  }

  private entriesOf(
    declaration: EventDeclaration,
    content: EncodedPayload,
    key: string | undefined,
    { headers = {}, availableAt }: AppendOptions,
  ): OutboxEntry[] {
    checkHeaders(declaration, headers);
    checkDelay(declaration, availableAt);
    const id = this.#ids.next();
    const { correlationId, causationId } = this.scope.current;
    const message = {
      id,
      name: declaration.name,
      version: declaration.version,
      source: this.options.source,
      topic: declaration.topic,
      key: key ?? id,
      occurredAt: new Date(),
      correlationId: correlationId ?? id,
      causationId,
      contentType: this.serializer.contentType,
      ...content,
      slot: slotOf(key ?? id, this.options.slots),
      deadLetterPolicy: declaration.deadLetterPolicy,
      availableAt: availableAt && new Date(availableAt),
      strictOrder: key !== undefined && (declaration.strictOrder ?? this.options.strictOrder),
    };
    const destinations = this.destinationsFor(declaration);
    const trace = this.tracing.created(message, () => this.transports.systemOf(destinations));
    return destinations.map((destination) => ({
      ...message,
      headers: { ...headers, ...trace },
      destination,
    }));
  }

  private destinationsFor(declaration: EventDeclaration): string[] {
    const { wanted, unknown } = destinationsOf(declaration, this.options);
    if (unknown.length > 0) {
      const known = [...this.options.transports.keys()].join(', ');
      throw new CqrsOutboxError(
        'UNKNOWN_DESTINATION',
        `${declaration.name} is for the destination(s) ${unknown.join(', ')}, but forRoot({ transport }) names ${known}.`,
      );
    }
    return wanted;
  }

  private serialize(declaration: EventDeclaration, event: object): Buffer {
    const { name, schema } = declaration;
    let payload: Buffer;
    let received: unknown;
    try {
      payload = this.serializer.serialize(event, declaration);
      if (schema) received = this.serializer.deserialize(payload, declaration);
    } catch (cause) {
      throw new CqrsOutboxError(
        'PAYLOAD_NOT_SERIALIZABLE',
        `${name} can't be serialised: ${messageOf(cause)}.`,
        { cause },
      );
    }
    // What passes here passes at the consumer: it is what the consumer gets.
    if (schema) applySchema(name, schema, received);
    return payload;
  }

  /** A payload that no consumer would take is refused here, where its sender can still see to it. */
  private compress({ name }: EventDeclaration, plain: Buffer): EncodedPayload {
    const { compression, consumer, maxPayloadBytes } = this.options;
    // First, since compressing it would take long too.
    if (compression) checkSize(name, plain, 'consumer.maxDecompressedBytes', consumer.maxDecompressedBytes);
    let content: EncodedPayload;
    try {
      content = this.compression.compress(plain);
    } catch (cause) {
      const why = `The payload of ${name} can't be compressed: ${messageOf(cause)}.`;
      throw new CqrsOutboxError('PAYLOAD_NOT_SERIALIZABLE', why, { cause });
    }
    checkSize(name, content.payload, 'maxPayloadBytes', maxPayloadBytes);
    return content;
  }
}

const TOMBSTONE: EncodedPayload = { payload: null, contentEncoding: undefined };

function checkSize(name: string, payload: Buffer | null, option: string, maxBytes: number): void {
  const bytes = payload?.length ?? 0;
  if (bytes <= maxBytes) return;
  throw new CqrsOutboxError(
    'PAYLOAD_TOO_LARGE',
    `The payload of ${name} has ${bytes} bytes, over ${option} (${maxBytes}).`,
  );
}

function keyOf(declaration: EventDeclaration, event: object): string | undefined {
  if (!declaration.key) return undefined;
  let key: unknown;
  try {
    key = declaration.key(event);
  } catch (cause) {
    throw new CqrsOutboxError(
      'EVENT_KEY',
      `The key function of ${declaration.name} failed: ${messageOf(cause)}.`,
      { cause },
    );
  }
  return checkedKey(declaration, key);
}

function checkedKey({ name }: EventDeclaration, key: unknown): string {
  // PostgreSQL's text has no NUL, and would refuse the row only at the commit; MySQL takes 'a' and 'a ' for one key.
  const isText = typeof key === 'string' && key !== '' && key.length <= MAX_NAME_LENGTH;
  if (isText && !key.includes('\0') && key === key.trim()) return key;
  throw new CqrsOutboxError(
    'EVENT_KEY',
    `The key of ${name} must be a string of 1 to ${MAX_NAME_LENGTH} characters, without NUL or white space at its ends.`,
  );
}

function checkDelay({ name }: EventDeclaration, availableAt: unknown): void {
  if (availableAt === undefined) return;
  const isDate =
    availableAt instanceof Date && Number.isFinite(availableAt.getTime()) && availableAt.getTime() >= 0;
  if (isDate) return;
  throw new CqrsOutboxError('EVENT_DELAY', `availableAt of ${name} must be a valid Date from 1970 on.`);
}

function checkHeaders({ name }: EventDeclaration, headers: Readonly<Record<string, string>>): void {
  const refuse = (why: string): never => {
    throw new CqrsOutboxError('EVENT_HEADER', `The headers of ${name}: ${why}.`);
  };
  for (const [header, value] of Object.entries(headers)) {
    if (isReservedHeader(header)) refuse(`${header} belongs to the envelope`);
    if (typeof value !== 'string') refuse(`${header} is no string`);
    if (header === '' || Buffer.byteLength(header) > MAX_HEADER_NAME_BYTES) {
      refuse(`a name has ${Buffer.byteLength(header)} bytes, and may have 1 to ${MAX_HEADER_NAME_BYTES}`);
    }
  }
  const size = Buffer.byteLength(JSON.stringify(headers));
  if (size > MAX_HEADERS_BYTES) refuse(`${size} bytes in all, over ${MAX_HEADERS_BYTES}`);
}
