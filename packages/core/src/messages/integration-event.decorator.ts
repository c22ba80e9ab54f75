import 'reflect-metadata';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { DeadLetterPolicy } from '../outbox/outbox-entry.js';
import type { PropsOf } from './constructible.js';
import { isStandardSchema } from './event-schema.js';
import type { EventClass, OutboundEvent } from './event.js';
import { isNewerVersionPolicy, upcasterFaults, type NewerVersionPolicy, type Upcaster } from './versions.js';

const INTEGRATION_EVENT = Symbol('cqrs-outbox:integration-event');

/** How an event class appears outside of the process. `O` is the output of its schema. */
export interface IntegrationEventOptions<E extends object = OutboundEvent, O = unknown> {
  /** The wire name, explicit and stable: `meetings.room-closed`. At most 191 characters. */
  name: string;
  /**
   * The version of the payload, a positive integer. Raise it with an incompatible change, and give an upcaster.
   * @defaultValue 1
   */
  version?: number;
  /**
   * Each brings a payload from the version that is its key to the next one; a message of an older version goes through
   * all of them before it becomes an instance of the class. Without gaps up to `version`: messages that are older than the
   * first can't be read, and are set aside. Tombstones need none.
   * @example upcasters: { 1: ({ name, ...rest }) => ({ ...rest, title: name }) }
   */
  upcasters?: Readonly<Record<number, Upcaster>>;
  /**
   * What becomes of a received message with a version that is newer than `version`. Tombstones are always taken.
   * @defaultValue `consumer.newerVersion` of `forRoot`
   */
  newerVersion?: NewerVersionPolicy;
  /**
   * Checks the payload: any schema of https://standardschema.dev, such as of Zod, Valibot or ArkType, without asynchronous
   * rules. It gets the payload as it travels, when it is appended and when it is received; then its output, with its
   * coercions and transforms, becomes the event. class-transformer is not asked on receipt; rules of class-validator,
   * if the class has any, apply as well.
   */
  schema?: StandardSchemaV1<unknown, O>;
  /** Kafka topic, or what the transport routes by. At most 191 characters. */
  topic: string;
  /**
   * The key whose events keep their order, as a rule the aggregate's id. At most 191 characters. Events of a class
   * without a key are published in no particular order to each other.
   */
  key?: (event: E) => string;
  /**
   * The transports that get the event, by their names in `forRoot({ transport })`; each gets an entry of its own.
   * @defaultValue the only transport, or the one named `default`
   */
  destinations?: string | readonly string[];
  /**
   * What becomes of the key when an event was refused for good: `continue` publishes what follows it, `park` holds the key
   * back until a person has requeued or discarded the dead letter.
   * @defaultValue 'continue'
   */
  deadLetterPolicy?: DeadLetterPolicy;
  /**
   * Locks the key from the insert of the row to the commit, so that the order of the key is that of the commits also for
   * transactions that change no row in common. Those that do need it not: their row locks order them already. It costs
   * a statement, and makes transactions of one key commit one after another.
   * @defaultValue `strictOrder` of `forRoot`
   */
  strictOrder?: boolean;
}

/** The declaration of an event class, complete with defaults. */
export interface EventDeclaration {
  readonly eventClass: EventClass;
  readonly name: string;
  readonly version: number;
  readonly upcasters: ReadonlyMap<number, Upcaster>;
  /** Undefined: as the application says. */
  readonly newerVersion: NewerVersionPolicy | undefined;
  readonly schema: StandardSchemaV1 | undefined;
  readonly topic: string;
  readonly key: ((event: object) => string) | undefined;
  /** Undefined: the default transport. */
  readonly destinations: readonly string[] | undefined;
  readonly deadLetterPolicy: DeadLetterPolicy;
  /** Undefined: as the application says. */
  readonly strictOrder: boolean | undefined;
}

/**
 * Declares an event class as one that leaves the process.
 *
 * @throws {@link CqrsOutboxError} with code `INVALID_EVENT_DECLARATION`, when the class is defined, for an empty name
 *   or topic, one that is too long or has white space, a version that is no positive integer, upcasters with a gap or for
 *   no older version, a schema that is none, and a policy that is none.
 * @example
 * @IntegrationEvent({ name: 'meetings.room-closed', topic: 'meetings', key: (e: RoomClosed) => String(e.meetingId) })
 * class RoomClosed extends NotificationEvent { ... }
 */
export function IntegrationEvent<E extends object, O = unknown>(options: IntegrationEventOptions<E, O>) {
  return <C extends E>(eventClass: (new () => C) & Fitting<C, NoInfer<O>>): void => {
    const destinations =
      typeof options.destinations === 'string' ? [options.destinations] : options.destinations;
    const declaration: EventDeclaration = {
      eventClass,
      name: options.name,
      version: options.version ?? 1,
      upcasters: new Map(
        Object.entries(options.upcasters ?? {}).map(([from, upcaster]) => [Number(from), upcaster]),
      ),
      newerVersion: options.newerVersion,
      schema: options.schema,
      topic: options.topic,
      // The decorator's type ties the function to its class; here the class is known at run time only.
      key: options.key as ((event: object) => string) | undefined,
      destinations,
      deadLetterPolicy: options.deadLetterPolicy ?? 'continue',
      strictOrder: options.strictOrder,
    };
    const faults = [...faultsOf(declaration), ...contractFaults(declaration, options)];
    if (faults.length > 0) {
      throw new CqrsOutboxError(
        'INVALID_EVENT_DECLARATION',
        `@IntegrationEvent of ${eventClass.name}: ${faults.join('; ')}.`,
      );
    }
    Reflect.defineMetadata(INTEGRATION_EVENT, declaration, eventClass);
  };
}

/** The class, if its schema's output has all of its properties, in their types. */
type Fitting<C, O> = unknown extends O
  ? unknown
  : [O] extends [PropsOf<C>]
    ? unknown
    : { readonly 'The output of the schema does not fit the class': PropsOf<C> };

/** The declaration on exactly this class; a subclass does not inherit one, since two classes can't share a name. */
export function eventDeclarationOf(eventClass: object): EventDeclaration | undefined {
  return Reflect.getOwnMetadata(INTEGRATION_EVENT, eventClass) as EventDeclaration | undefined;
}

/** The width of the columns for names, topics and keys: what a MySQL index takes in four-byte characters. */
export const MAX_NAME_LENGTH = 191;

/** AMQP's limit of a routing key. */
const MAX_NAME_BYTES = 255;

function faultsOf(declaration: EventDeclaration): string[] {
  const { name, topic, version, destinations } = declaration;
  const faults: string[] = [];
  for (const [property, value] of Object.entries({ name, topic })) {
    if (typeof value !== 'string' || value.trim() === '')
      faults.push(`${property} must be a non-empty string`);
    else if (value.length > MAX_NAME_LENGTH) faults.push(`${property} is over ${MAX_NAME_LENGTH} characters`);
    else if (Buffer.byteLength(value) > MAX_NAME_BYTES)
      faults.push(`${property} is over ${MAX_NAME_BYTES} bytes`);
    else if (/\s/.test(value)) faults.push(`${property} has white space`);
  }
  if (!Number.isInteger(version) || version < 1 || version > 32_767) {
    faults.push('version must be an integer from 1 to 32767');
  }
  // JavaScript callers can give anything.
  const { deadLetterPolicy, strictOrder }: Record<string, unknown> = { ...declaration };
  if (deadLetterPolicy !== 'continue' && deadLetterPolicy !== 'park')
    faults.push("deadLetterPolicy must be 'continue' or 'park'");
  if (strictOrder !== undefined && typeof strictOrder !== 'boolean')
    faults.push('strictOrder must be true or false');
  if (destinations?.length === 0) faults.push('destinations must not be empty');
  return faults;
}

/** JavaScript callers can give anything. */
function contractFaults(
  { version }: EventDeclaration,
  { upcasters, newerVersion, schema }: Partial<Record<keyof IntegrationEventOptions, unknown>>,
): string[] {
  const faults = upcasterFaults(version, upcasters);
  if (newerVersion !== undefined && !isNewerVersionPolicy(newerVersion))
    faults.push("newerVersion must be 'reject', 'accept' or 'ignore'");
  if (schema !== undefined && !isStandardSchema(schema))
    faults.push('schema must be a schema of https://standardschema.dev, version 1');
  return faults;
}
