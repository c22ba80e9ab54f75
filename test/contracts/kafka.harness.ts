import { randomUUID } from 'node:crypto';
import { WIRE_HEADERS, type TransportOption } from '@cqrs-outbox/core';
import { PlatformaticKafkaTransport } from '@cqrs-outbox/kafka';
import type { TransportHarness } from '@cqrs-outbox/testing';
import { Transport } from '@nestjs/microservices';
import { Kafka, logLevel, type Admin, type Consumer, type KafkaMessage } from 'kafkajs';
import { serviceUrl } from '../services/describe-with.ts';
import { Arrivals } from './arrivals.ts';
import { openTransport } from './module-transport.ts';

/** How a publisher reaches these brokers, by one client or another. */
type Publisher = (brokers: string[], publishTimeoutMs: number) => TransportOption;

/** Nest's `ClientKafka`, which is kafkajs. */
const byNest: Publisher = (brokers) => ({
  transport: Transport.KAFKA,
  options: { client: clientOf(brokers) },
});

const byPlatformatic: Publisher = (bootstrapBrokers, publishTimeoutMs) =>
  new PlatformaticKafkaTransport({ bootstrapBrokers, publishTimeoutMs });

export const kafkaHarness = (): TransportHarness => harnessOf(byNest);
export const platformaticKafkaHarness = (): TransportHarness => harnessOf(byPlatformatic);

function harnessOf(publisher: Publisher): TransportHarness {
  return {
    json: 'same bytes',
    acknowledgement: 'by the broker',
    maxPayloadBytes: 900 * 1024,
    open: () => openFixture(publisher),
    openAt: (port) => openTransport(publisher([`127.0.0.1:${port}`], 500), 500),
  };
}

function clientOf(brokers: string[]): { brokers: string[]; logLevel: logLevel } {
  return { brokers, logLevel: logLevel.NOTHING };
}

async function openFixture(publisher: Publisher): ReturnType<TransportHarness['open']> {
  const brokers = serviceUrl('kafka').split(',');
  const [topic, otherTopic] = [`contract-${randomUUID()}`, `contract-other-${randomUUID()}`];
  const kafka = new Kafka(clientOf(brokers));
  const admin = kafka.admin();
  await admin.connect();
  const topics = [topic, otherTopic].map((name) => ({ topic: name, numPartitions: 3 }));
  await admin.createTopics({ topics, waitForLeaders: true });
  const arrivals = new Arrivals();
  const groupId = `contract-${randomUUID()}`;
  const consumer = await consume(kafka, groupId, [topic, otherTopic], arrivals);
  const opened = await openTransport(publisher(brokers, 10_000));
  return {
    transport: opened.transport,
    topic,
    otherTopic,
    arrivals: (ids) => arrivals.of(ids),
    // The broker takes a little over 1 MiB.
    refusable: (message) => ({ ...message, payload: Buffer.alloc(1_200_000, 'x') }),
    close: async () => {
      await opened.close();
      await consumer.disconnect();
      await cleanUp(admin, groupId, [topic, otherTopic]);
    },
  };
}

async function consume(
  kafka: Kafka,
  groupId: string,
  topics: string[],
  arrivals: Arrivals,
): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => arrivals.add(toArrived(message)) });
  return consumer;
}

async function cleanUp(admin: Admin, groupId: string, topics: string[]): Promise<void> {
  await admin.deleteGroups([groupId]);
  await admin.deleteTopics({ topics });
  await admin.disconnect();
}

function toArrived({ key, headers: rawHeaders = {}, value }: KafkaMessage) {
  const headers = Object.fromEntries(Object.entries(rawHeaders).map(([name, text]) => [name, String(text)]));
  return {
    id: headers[WIRE_HEADERS.id] ?? '',
    key: String(key),
    headers: { [WIRE_HEADERS.key]: String(key), ...headers },
    payload: value,
  };
}
