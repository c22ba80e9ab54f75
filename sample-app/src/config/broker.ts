import { InMemoryTransport, RabbitMqEventDeserializer, type TransportOption } from '@cqrs-outbox/core';
import { type CustomTransportStrategy, ServerKafka, ServerRMQ, Transport } from '@nestjs/microservices';
import { TOPIC } from '../events/topic.js';

/** The two ends of a message's way: where the relay publishes, and where the controllers receive. */
export interface Broker {
  readonly transport: TransportOption;
  readonly server: CustomTransportStrategy;
}

/** No broker at all: messages go to the controllers of this process, bytes and headers as on a real one. */
export function inMemoryBroker(transport = new InMemoryTransport()): Broker {
  return { transport, server: transport.createServer() };
}

export function kafkaBroker(brokers: string[], groupId: string): Broker {
  // Few retries inside of kafkajs, and no restarts: the relay and the message listener try again by themselves.
  const client = { clientId: groupId, brokers, retry: { retries: 2 } };
  const retry = { retries: 2, restartOnFailure: () => Promise.resolve(false) };
  // How long the group waits for a member that is gone without a word, and how long a shutdown waits for a fetch.
  const consumer = { groupId, retry, sessionTimeout: 10_000, maxWaitTimeInMs: 1_000 };
  return {
    transport: { transport: Transport.KAFKA, options: { client } },
    server: new ServerKafka({
      client,
      consumer,
      // From the beginning, so that a new service builds its read model from what the topic still has.
      subscribe: { fromBeginning: true },
      // The bytes as they are, which may be compressed.
      parser: { keepBinary: true },
    }),
  };
}

export function rabbitMqBroker(url: string, queue: string): Broker {
  // A durable topic exchange with the event's name as the routing key; each service binds a queue of its own to it,
  // and gets what is published from then on. Where none may be missed, declare the queues before the first start.
  const exchange = { urls: [url], exchange: TOPIC, exchangeType: 'topic' as const };
  return {
    transport: { transport: Transport.RMQ, options: { ...exchange, wildcards: true } },
    server: new ServerRMQ({
      ...exchange,
      routingKey: '#',
      queue,
      queueOptions: { durable: true },
      // The consumer acknowledges after its commit; with `true`, a crash loses what is being handled.
      noAck: false,
      // One at a time: several would be handled side by side, and an older state could overwrite a newer one.
      prefetchCount: 1,
      deserializer: new RabbitMqEventDeserializer(TOPIC),
    }),
  };
}
