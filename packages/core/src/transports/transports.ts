import type { InjectionToken } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import {
  ClientKafka,
  ClientProxy,
  ClientProxyFactory,
  ClientRMQ,
  Transport as NestTransport,
  type ClientOptions,
  type CustomClientOptions,
  type RmqOptions,
} from '@nestjs/microservices';
import { messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions, TransportOption } from '../cqrs-outbox.options.js';
import { findProvided } from '../find-provided.js';
import { RELAY_DEFAULTS } from '../relay/relay.options.js';
import { TracedTransport } from '../tracing/traced-transport.js';
import type { Tracing } from '../tracing/tracing.js';
import { ClientProxyTransport } from './client-proxy.transport.js';
import { KafkaTransport } from './kafka.transport.js';
import { NestKafkaProducer } from './nest-kafka-producer.js';
import { RabbitMqTransport, routeOf } from './rabbitmq.transport.js';
import { closeInTime } from './time-limit.js';
import { OTHER_SYSTEM, Transport } from './transport.js';

/** The destinations of the application, by name. */
export class Transports {
  readonly #transports = new Map<string, Transport>();

  constructor(
    private readonly options: ResolvedOptions,
    private readonly modules: ModulesContainer,
    private readonly tracing: Tracing,
  ) {}

  get names(): string[] {
    return [...this.#transports.keys()];
  }

  /** @throws TypeError for a name that is not configured; the encoder has checked it before. */
  get(name: string): Transport {
    const transport = this.#transports.get(name);
    if (!transport) throw new TypeError(`No destination is named ${name}.`);
    return transport;
  }

  /** The messaging system of these destinations, for a trace. */
  systemOf(destinations: readonly string[]): string {
    const systems = new Set(destinations.map((name) => this.#transports.get(name)?.messagingSystem));
    const [only = OTHER_SYSTEM] = systems;
    return systems.size === 1 ? only : OTHER_SYSTEM;
  }

  /** Makes the transports, without connecting. @returns the faults of those that can't be made. */
  load(): string[] {
    const faults: string[] = [];
    for (const [name, option] of this.options.transports) {
      try {
        this.#transports.set(name, new TracedTransport(this.create(option), this.tracing));
      } catch (error) {
        faults.push(`transport ${name}: ${messageOf(error)}`);
      }
    }
    return faults;
  }

  /** Closes what was opened here; clients that the application provides are its own to close. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#transports].map(([name, transport]) =>
        closeInTime(`transport ${name}`, () => transport.close()),
      ),
    );
  }

  private create(option: TransportOption): Transport {
    if (option instanceof Transport) return option;
    if (isToken(option)) return this.fromToken(option);
    const client = ClientProxyFactory.create(
      withProducerDefaults(option, this.publishTimeoutMs) as ClientOptions,
    );
    return this.adapt(client, true);
  }

  private fromToken(token: InjectionToken): Transport {
    const provided = findProvided<unknown>(this.modules, token);
    if (provided === undefined) {
      throw new Error(
        `no provider has the token ${String(token)}; register it, for example by ClientsModule.register`,
      );
    }
    if (provided instanceof Transport) return provided;
    if (provided instanceof ClientProxy) return this.adapt(provided as ClientProxy, false);
    throw new Error(`the provider ${String(token)} is neither a ClientProxy nor a Transport`);
  }

  private get publishTimeoutMs(): number {
    return (this.options.relay || RELAY_DEFAULTS).publishTimeoutMs;
  }

  private adapt(client: ClientProxy, ownsClient: boolean): Transport {
    const { publishTimeoutMs } = this;
    if (client instanceof ClientKafka) {
      return new KafkaTransport(new NestKafkaProducer(client, publishTimeoutMs, ownsClient));
    }
    if (client instanceof ClientRMQ) {
      // Protected in Nest; a client that comes by its token has its route nowhere else.
      const { options = {} } = client as unknown as { options?: NonNullable<RmqOptions['options']> };
      return new RabbitMqTransport(client, routeOf(options), publishTimeoutMs, ownsClient);
    }
    return new ClientProxyTransport(client, publishTimeoutMs, ownsClient);
  }
}

function isToken(option: TransportOption): option is InjectionToken {
  return typeof option !== 'object';
}

/** So often kafkajs sends a request again by itself. Longer outages are the relay's own matter. */
const KAFKA_RETRIES = 3;

/**
 * We only produce: without `producerOnlyMode`, ClientKafka would join a consumer group for replies. And kafkajs must not
 * go on with a batch that the relay has given up: it would arrive when the relay has long sent it again.
 */
function withProducerDefaults(
  option: ClientOptions | CustomClientOptions,
  publishTimeoutMs: number,
): ClientOptions | CustomClientOptions {
  if (!('transport' in option) || option.transport !== NestTransport.KAFKA) return option;
  const client = {
    requestTimeout: Math.ceil(publishTimeoutMs / (KAFKA_RETRIES + 2)),
    ...option.options?.client,
    retry: { retries: KAFKA_RETRIES, initialRetryTime: 100, ...option.options?.client?.retry },
  };
  // Nest fills in the default broker when none is given, which its type does not know.
  return { ...option, options: { producerOnlyMode: true, ...option.options, client } } as ClientOptions;
}
