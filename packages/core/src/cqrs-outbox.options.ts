import type { InjectionToken } from '@nestjs/common';
import type { ClientOptions, CustomClientOptions } from '@nestjs/microservices';
import type { ConsumerOptions, ResolvedConsumerOptions } from './consumers/consumer.options.js';
import type { EnhancerOptions } from './mediators/enhancers.js';
import type {
  CompressionOptions,
  ResolvedCompressionOptions,
} from './messages/compression/compression.options.js';
import type { EventClass } from './messages/event.js';
import type { Serializer } from './messages/serializer.js';
import type { HousekeepingOptions, ResolvedHousekeepingOptions } from './operations/housekeeping.options.js';
import type { CommitHints } from './relay/hints/commit-hints.js';
import type { RelayOptions, ResolvedRelayOptions } from './relay/relay.options.js';
import type { Transport } from './transports/transport.js';

/**
 * One destination: Nest's own client options (a client is made of them and closed at shutdown), the injection token of
 * a `ClientProxy` or {@link Transport} that the application provides and closes, or a {@link Transport}.
 */
export type TransportOption = ClientOptions | CustomClientOptions | InjectionToken | Transport;

/** Which class-validator options apply to commands and queries. */
export interface RequestValidationOptions {
  /**
   * Removes properties without any rule from a request before its handler runs.
   * @defaultValue false
   */
  whitelist?: boolean;
  /**
   * With `whitelist`: a property without any rule is an error instead.
   * @defaultValue false
   */
  forbidNonWhitelisted?: boolean;
}

/** What `CqrsOutboxModule.forRoot` takes, beside `store`, `consume` and `isGlobal`. */
export interface CqrsOutboxOptions extends EnhancerOptions {
  /** The name of this application in the messages it publishes: CloudEvents' `source`. */
  source: string;
  /** The destination `default`, or several by name. */
  transport: TransportOption | Readonly<Record<string, TransportOption>>;
  /**
   * How the relay works; `false` where another instance of the application runs it.
   * @defaultValue all defaults of {@link RelayOptions}
   */
  relay?: RelayOptions | false;
  /**
   * What tells the relays of other processes of a commit, so that they publish at once what this process has not the slots
   * for, instead of at their next tick: `true` for what the store has (LISTEN/NOTIFY of PostgreSQL, with `MikroOrmOutbox`;
   * other databases have nothing of the kind), or {@link CommitHints} of your own or their injection token. Give the same
   * in all applications that share the outbox, those with `relay: false` included.
   *
   * What it costs: a connection for each process, and a message at most each 5 ms while there are commits that another
   * process relays; none for what this process relays by itself.
   * @defaultValue false: they wait for their tick
   */
  commitHints?: boolean | InjectionToken | CommitHints;
  /**
   * How requests are validated; `false` where another layer has done it.
   * @defaultValue class-validator's rules, without a whitelist
   */
  validation?: RequestValidationOptions | false;
  /**
   * The largest payload that can be appended, in bytes as it is stored and sent: after serialisation and compression. Stay
   * under the broker's own limit, with room for key and headers (Kafka's default is 1 MiB).
   * @defaultValue 921600
   */
  maxPayloadBytes?: number;
  /** Event classes that are appended here but handled elsewhere, so that conflicts of names are found at boot. */
  events?: readonly EventClass[];
  /**
   * Encodes payloads. A consumer chooses by the content type of each message: this one, one of `consumer.serializers`, or
   * JSON, which is always read.
   * @defaultValue JSON
   */
  serializer?: Serializer;
  /**
   * Compresses payloads at `append`, in the event loop.
   * @defaultValue not at all
   */
  compression?: CompressionOptions;
  /** How received messages are tried, and where they go that are given up. */
  consumer?: ConsumerOptions;
  /**
   * Into how many shares the keys are divided, 1 to 256: so many relay instances can work at once. Give the same in all
   * applications that share the outbox: instances with another number wait until those that came first have ended, and
   * then divide the entries anew.
   * @defaultValue 16
   */
  slots?: number;
  /**
   * Whether every event locks its key from the insert of its row to the commit, so that events of one key keep the order of
   * the commits also when their transactions change no row in common. See {@link IntegrationEventOptions.strictOrder}.
   * @defaultValue false
   */
  strictOrder?: boolean;
  /**
   * Whether commands and messages are traced, where the application has `@opentelemetry/api` and has registered an SDK.
   * @defaultValue true
   */
  tracing?: boolean;
  /** What is kept for how long. */
  housekeeping?: HousekeepingOptions;
  /** Run one after another when all modules are initialised, before the relay starts. What they throw stops the boot. */
  onStartup?: readonly (() => Promise<void> | void)[];
}

/** The options with all defaults, for the library's own parts. */
export interface ResolvedOptions {
  readonly source: string;
  readonly transports: ReadonlyMap<string, TransportOption>;
  /** For events that name no destination. */
  readonly defaultDestination: string;
  readonly relay: ResolvedRelayOptions | false;
  /** Undefined: there are none. */
  readonly commitHints: InjectionToken | CommitHints | undefined;
  readonly validation: RequestValidationOptions | false;
  readonly maxPayloadBytes: number;
  /** Undefined: payloads are not compressed. */
  readonly compression: ResolvedCompressionOptions | undefined;
  readonly events: readonly EventClass[];
  readonly consumer: ResolvedConsumerOptions;
  readonly slots: number;
  readonly strictOrder: boolean;
  readonly tracing: boolean;
  readonly housekeeping: ResolvedHousekeepingOptions;
  readonly enhancers: EnhancerOptions;
  readonly onStartup: readonly (() => Promise<void> | void)[];
  /** What is wrong with what the user gave; reported at boot together with all other faults. */
  readonly faults: readonly string[];
}
