import type { TransportOption } from '@cqrs-outbox/core';
import { Transport } from '@nestjs/microservices';
import { clientConfig } from '../servers/kafka-client-config.ts';

/** By which library the relay talks to Kafka: Nest's client over kafkajs, or `@platformatic/kafka`. */
export const KAFKA_CLIENTS = ['nest', 'platformatic'] as const;
export type KafkaClientName = (typeof KAFKA_CLIENTS)[number];

/**
 * Where the measured application publishes to: the Kafka destination as a user declares it. A client is loaded when it is
 * asked for, since its memory counts.
 */
export async function kafkaOption(
  brokers: string[],
  client: KafkaClientName = 'nest',
): Promise<TransportOption> {
  if (client === 'nest') return { transport: Transport.KAFKA, options: { client: clientConfig(brokers) } };
  const { PlatformaticKafkaTransport } = await import('@cqrs-outbox/kafka');
  return new PlatformaticKafkaTransport({ bootstrapBrokers: brokers });
}
