import { transportContract, type TransportHarness } from '@cqrs-outbox/testing';
import * as jest from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import type { ServiceName } from '../services/service.ts';
import { inMemoryTransportHarness, recordingTransportHarness } from './in-process.harness.ts';
import { kafkaHarness, platformaticKafkaHarness } from './kafka.harness.ts';
import { nestClientHarness } from './nest-client.harness.ts';
import { describeWhenUp, OPTIONAL_SERVERS, tcp } from './nest-transports.ts';
import { rabbitMqExchangeHarness, rabbitMqQueueHarness } from './rabbitmq.harness.ts';

jest.describe('RecordingTransport', () => transportContract(recordingTransportHarness, jest));

jest.describe('InMemoryTransport', () => transportContract(inMemoryTransportHarness, jest));

const adapters: [string, ServiceName[], () => TransportHarness][] = [
  ['Kafka', ['kafka'], kafkaHarness],
  ['Kafka by @platformatic/kafka', ['kafka'], platformaticKafkaHarness],
  ['RabbitMQ, one queue', ['rabbitmq'], rabbitMqQueueHarness],
  ['RabbitMQ, a topic exchange', ['rabbitmq'], rabbitMqExchangeHarness],
];
for (const [name, needs, harness] of adapters) {
  describeWith(needs, name, () => transportContract(harness(), jest));
}

jest.describe('TCP', () => transportContract(nestClientHarness('when written', tcp), jest));
for (const [name, server] of Object.entries(OPTIONAL_SERVERS)) {
  describeWhenUp(name, server, () =>
    transportContract(nestClientHarness('by the broker', server.options), jest),
  );
}
