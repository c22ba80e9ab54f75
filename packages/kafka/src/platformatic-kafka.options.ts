import type { ProducerOptions } from '@platformatic/kafka';

/** The longest time that a timer can have, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The client's own settings of a producer, for those that are the user's to choose. */
type ClientOptions = ProducerOptions<Buffer, Buffer, Buffer, Buffer>;

/** How `PlatformaticKafkaTransport` reaches Kafka. What stands under its own name in `@platformatic/kafka` means the same here. */
export interface PlatformaticKafkaOptions
  extends
    Pick<ClientOptions, 'bootstrapBrokers'>,
    Partial<
      Pick<
        ClientOptions,
        'tls' | 'tlsServerName' | 'sasl' | 'compression' | 'maxInflights' | 'metadataMaxAge' | 'metrics'
      >
    > {
  /**
   * By what name the brokers know the application, in their logs and quotas.
   * @defaultValue 'cqrs-outbox'
   */
  readonly clientId?: string;
  /**
   * How long a request may take, in milliseconds: then its result is `unavailable`, and the connections are closed, so that
   * nothing of it is sent later. The same again is allowed before it, to ask for the topic. As a rule the value of
   * `relay.publishTimeoutMs`, which a transport of the application's own does not get by itself.
   * @defaultValue 30000
   */
  readonly publishTimeoutMs?: number;
  /**
   * How long one broker may take to answer, in milliseconds; after that another one is asked for the topic. Less finds a
   * broker that hangs sooner, and gives up a slow one sooner: what it had taken then arrives twice.
   * @defaultValue a third of `publishTimeoutMs`
   */
  readonly requestTimeout?: number;
  /**
   * How long a connection may take, in milliseconds.
   * @defaultValue 5000, and `requestTimeout` at most
   */
  readonly connectTimeout?: number;
  /**
   * Whether a topic that does not exist is made, where the brokers have that switched on (`auto.create.topics.enable`).
   * @defaultValue true, as with kafkajs
   */
  readonly autocreateTopics?: boolean;
}

/** The client's settings: what the user has chosen, and what the transport's promises rest on. */
export function clientOptionsOf({ publishTimeoutMs, ...options }: ResolvedOptions): ClientOptions {
  const requestTimeout = options.requestTimeout ?? Math.ceil(publishTimeoutMs / 3);
  return {
    clientId: 'cqrs-outbox',
    autocreateTopics: true,
    connectTimeout: Math.min(5_000, requestTimeout),
    ...withoutUndefined(options),
    requestTimeout,
    // So long a leader waits for the replicas. It answers before we stop listening.
    timeout: Math.ceil(requestTimeout * 0.9),
    // What was sent again by the client would arrive behind newer messages. The relay does it, in order.
    retries: 0,
    repeatOnStaleMetadata: false,
    retryDelay: retryDelayMs,
  };
}

/** {@link PlatformaticKafkaOptions} with the default that the transport itself needs. */
export type ResolvedOptions = PlatformaticKafkaOptions & { readonly publishTimeoutMs: number };

/** The one place of the default. @throws TypeError for options that can't work */
export function resolveOptions(options: PlatformaticKafkaOptions): ResolvedOptions {
  const { bootstrapBrokers, publishTimeoutMs = 30_000 } = options;
  const faults: string[] = [];
  if (bootstrapBrokers.length === 0) faults.push('bootstrapBrokers must name at least one broker');
  if (!Number.isInteger(publishTimeoutMs) || publishTimeoutMs < 1 || publishTimeoutMs > MAX_TIMER_MS) {
    faults.push(`publishTimeoutMs must be a whole number from 1 to ${MAX_TIMER_MS}, not ${publishTimeoutMs}`);
  }
  if (faults.length > 0) throw new TypeError(`PlatformaticKafkaTransport: ${faults.join('; ')}.`);
  return { ...options, publishTimeoutMs };
}

/** Between two tries to ask for a topic. */
function retryDelayMs(_client: object, _operation: string, attempt: number): number {
  return 100 * 2 ** (attempt - 1);
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
