import { randomUUID } from 'node:crypto';
import {
  InMemoryTransport,
  KafkaEventServer,
  RabbitMqEventDeserializer,
  type TransportOption,
} from '@cqrs-outbox/core';
import { Transport, type KafkaOptions, type MicroserviceOptions } from '@nestjs/microservices';
import { Kafka, logLevel } from 'kafkajs';
import { connect } from 'amqplib';
import { createTopics } from './create-topics.ts';
import { serviceUrl } from '../services/describe-with.ts';
import type { ServiceName } from '../services/service.ts';

/** `kafka-batches`: consumed by `KafkaEventServer`. */
export type BrokerName = 'memory' | 'kafka' | 'kafka-batches' | 'rabbitmq';

/** How a test application publishes to a broker and consumes from it. */
export interface Broker {
  transport: TransportOption;
  server: MicroserviceOptions;
  /** Removes what the test has made. */
  cleanUp(): Promise<void>;
}

/** Every broker that suites run on, with the servers that each needs. */
export const BROKERS: readonly { name: BrokerName; needs: ServiceName[] }[] = [
  { name: 'memory', needs: [] },
  { name: 'kafka', needs: ['kafka'] },
  { name: 'kafka-batches', needs: ['kafka'] },
  { name: 'rabbitmq', needs: ['rabbitmq'] },
];

/**
 * @param topic a topic of the test's own; on RabbitMQ it is the name of a topic exchange, and a queue beside it
 */
export async function createBroker(name: BrokerName, topic: string): Promise<Broker> {
  if (name === 'memory') return memory();
  if (name === 'rabbitmq') return rabbitmq(topic);
  return name === 'kafka' ? kafka(topic) : kafkaBatches(topic);
}

function memory(): Broker {
  const transport = new InMemoryTransport();
  return { transport, server: { strategy: transport.createServer() }, cleanUp: async () => undefined };
}

async function kafka(topic: string): Promise<Broker> {
  const client = { brokers: serviceUrl('kafka').split(','), logLevel: logLevel.NOTHING };
  const admin = new Kafka(client).admin();
  await admin.connect();
  await createTopics(admin, { topic, numPartitions: 2 });
  return {
    transport: { transport: Transport.KAFKA, options: { client } },
    server: {
      transport: Transport.KAFKA,
      options: {
        client,
        consumer: { groupId: `group-${randomUUID()}`, retry: { initialRetryTime: 100, retries: 2 } },
        subscribe: { fromBeginning: true },
      },
    },
    cleanUp: async () => {
      await admin.deleteTopics({ topics: [topic] });
      await admin.disconnect();
    },
  };
}

async function kafkaBatches(topic: string): Promise<Broker> {
  const broker = await kafka(topic);
  const { client, consumer, subscribe } = (broker.server as KafkaOptions).options ?? {};
  const strategy = new KafkaEventServer({ client: client!, consumer: consumer!, subscribe: subscribe! });
  return { ...broker, server: { strategy } };
}

async function rabbitmq(topic: string): Promise<Broker> {
  const urls = [serviceUrl('rabbitmq')];
  const exchange = { exchange: topic, exchangeType: 'topic' } as const;
  return {
    transport: { transport: Transport.RMQ, options: { urls, ...exchange, wildcards: true } },
    server: {
      transport: Transport.RMQ,
      options: {
        urls,
        ...exchange,
        routingKey: '#',
        queue: `${topic}.queue`,
        queueOptions: { durable: true },
        noAck: false,
        prefetchCount: 20,
        deserializer: new RabbitMqEventDeserializer(topic),
      },
    },
    cleanUp: async () => {
      const connection = await connect(serviceUrl('rabbitmq'));
      const channel = await connection.createChannel();
      await channel.deleteQueue(`${topic}.queue`);
      await channel.deleteExchange(topic);
      await connection.close();
    },
  };
}
