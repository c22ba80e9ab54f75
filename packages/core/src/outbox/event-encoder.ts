import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../cqrs-outbox.options.js';
import { EventMap } from '../handlers/event-map.js';
import { EventValidator } from '../mediators/validation.js';
import type { OutboundEvent } from '../messages/event.js';
import { MAX_NAME_LENGTH, type EventDeclaration } from '../messages/integration-event.decorator.js';
import { isReservedHeader } from '../messages/message.js';
import { Serializer } from '../messages/serializer.js';
import { ExecutionScope } from '../unit-of-work/execution-scope.js';
import { destinationsOf } from './destinations.js';
import type { OutboxEntry } from './outbox-entry.js';

/** Brokers take headers for a small thing: RabbitMQ's must fit into one frame. */
const MAX_HEADERS_BYTES = 16 * 1024;
/** AMQP's limit of a short string. */
const MAX_HEADER_NAME_BYTES = 255;

/** What a user may add to an event when appending or emitting it. */
export interface AppendOptions {
  /** Headers of the message, at most 16 KiB in all. Names that the envelope uses (`ce_*`, `content-type`) are refused. */
  headers?: Readonly<Record<string, string>>;
}

/** Turns an event into entries, one per destination, all with the same message id. Everything invalid is found here. */
@Injectable()
export class EventEncoder {
  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly events: EventMap,
    private readonly validator: EventValidator,
    private readonly serializer: Serializer,
    private readonly scope: ExecutionScope,
  ) {}

  /** @throws {@link CqrsOutboxError}, see {@link Outbox.append} */
  encode(event: OutboundEvent, { headers = {} }: AppendOptions = {}): OutboxEntry[] {
    const declaration = this.events.declare(event.constructor);
    this.validator.validate(declaration.name, event);
    const payload = this.serialize(declaration, event);
    return this.entriesOf(declaration, payload, keyOf(declaration, event), headers);
  }

  /** Entries with a null payload for an aggregate's key. */
  encodeTombstone(eventClass: object, key: string, { headers = {} }: AppendOptions = {}): OutboxEntry[] {
    const declaration = this.events.declare(eventClass);
    return this.entriesOf(declaration, null, checkedKey(declaration, key), headers);
  }

  private entriesOf(
    declaration: EventDeclaration,
    payload: Buffer | null,
    key: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): OutboxEntry[] {
    checkHeaders(declaration, headers);
    const id = uuidv7();
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
      headers: { ...headers },
      payload,
    };
    return this.destinationsFor(declaration).map((destination) => ({ ...message, destination }));
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

  private serialize({ name }: EventDeclaration, event: object): Buffer {
    let payload: Buffer;
    try {
      payload = this.serializer.serialize(event);
    } catch (cause) {
      throw new CqrsOutboxError(
        'PAYLOAD_NOT_SERIALIZABLE',
        `${name} can't be serialised: ${messageOf(cause)}.`,
        { cause },
      );
    }
    if (payload.length > this.options.maxPayloadBytes) {
      throw new CqrsOutboxError(
        'PAYLOAD_TOO_LARGE',
        `The payload of ${name} has ${payload.length} bytes, over maxPayloadBytes (${this.options.maxPayloadBytes}).`,
      );
    }
    return payload;
  }
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
