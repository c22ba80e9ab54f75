import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Message, PublishResult } from '@cqrs-outbox/core';
import { PlatformaticKafkaTransport, type PlatformaticKafkaOptions } from '@cqrs-outbox/kafka';
import { Transport } from '@nestjs/microservices';
import { Kafka, logLevel, type Admin, type ITopicConfig } from 'kafkajs';
import { openTransport } from '../contracts/module-transport.ts';
import { describeWith } from '../services/describe-with.ts';
import * as kafka from '../services/kafka.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer } from '../services/service.ts';
import { createTopics } from '../support/create-topics.ts';
import { eventually } from '../support/eventually.ts';
import { KafkaProxy } from '../support/kafka-proxy.ts';
import { messageOf } from '../support/message.ts';

describeWith(['kafka'], 'PlatformaticKafkaTransport', () => {
  let directory: RunDirectory;
  let server: RunningServer;
  let client: Kafka;
  let admin: Admin;
  let proxy: KafkaProxy;
  let proxyAddress: string;
  const transports: PlatformaticKafkaTransport[] = [];

  beforeAll(async () => {
    directory = createRunDirectory();
    server = await kafka.start(directory.path);
    client = new Kafka({ brokers: [server.url], logLevel: logLevel.NOTHING });
    admin = client.admin();
    await admin.connect();
  }, 60_000);
  afterAll(async () => {
    await admin.disconnect();
    await server.stop();
    directory.remove();
  }, 60_000);

  beforeEach(async () => {
    proxy = new KafkaProxy(server.port);
    proxyAddress = await proxy.listen();
  });
  afterEach(async () => {
    await Promise.all(transports.splice(0).map((transport) => transport.close()));
    await proxy.close();
  });

  const open = (options: Partial<PlatformaticKafkaOptions> = {}): PlatformaticKafkaTransport => {
    const transport = new PlatformaticKafkaTransport({ bootstrapBrokers: [server.url], ...options });
    transports.push(transport);
    return transport;
  };
  const newTopic = async (config: Omit<ITopicConfig, 'topic'> = {}): Promise<string> => {
    const topic = `topic-${randomUUID()}`;
    await createTopics(admin, { topic, ...config });
    return topic;
  };
  const written = async (topic: string): Promise<number> => {
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.reduce((total, { offset }) => total + Number(offset), 0);
  };
  const statuses = (results: readonly PublishResult[]): string[] => results.map(({ status }) => status);

  async function readAll(topic: string, count: number): Promise<{ key: string; partition: number }[]> {
    const consumer = client.consumer({ groupId: randomUUID() });
    const records: { key: string; partition: number }[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message, partition }) =>
        void records.push({ key: String(message.key), partition }),
    });
    await eventually(() => expect(records).toHaveLength(count));
    await consumer.disconnect();
    return records;
  }

  it('has each key in the partition in which ClientKafka has it', async () => {
    const topic = await newTopic({ numPartitions: 7 });
    const keys = Array.from({ length: 100 }, (_, index) =>
      `${index}-ключ-${randomUUID()}`.slice(0, 5 + index),
    );
    const messages = keys.map((key) => messageOf({ topic, key }));
    const nest = await openTransport({
      transport: Transport.KAFKA,
      options: { client: { brokers: [server.url], logCreator: () => () => undefined } },
    });
    for (const transport of [nest.transport, open()]) {
      const results = await transport.publish(messages);
      expect(new Set(statuses(results))).toEqual(new Set(['published']));
    }
    await nest.close();
    const places = Map.groupBy(await readAll(topic, 200), ({ key }) => key);
    expect(places.size).toBe(100);
    for (const records of places.values()) expect(new Set(records.map((r) => r.partition)).size).toBe(1);
  });

  it('has all in-sync replicas acknowledge', async () => {
    const topic = await newTopic();
    await open({ bootstrapBrokers: [proxyAddress] }).publish([messageOf({ topic })]);
    expect(proxy.acks).toEqual([-1]);
  });

  it('refuses alone what is larger than a topic takes, and sends nothing of the rest twice', async () => {
    const configEntries = [{ name: 'max.message.bytes', value: '20000' }];
    const topic = await newTopic({ numPartitions: 3, configEntries });
    const messages = Array.from({ length: 90 }, (_, index) => messageOf({ topic, key: `key ${index % 30}` }));
    messages[40] = { ...messages[40]!, payload: Buffer.alloc(30_000, 'x') };
    const results = await open().publish(messages);
    const expected = messages.map((_, index) => ({ 40: 'refused', 70: 'held' })[index] ?? 'published');
    expect(statuses(results)).toEqual(expected);
    expect(results[40]).toMatchObject({
      permanent: true,
      error: { message: expect.stringMatching(/^MESSAGE_TOO_LARGE: /) },
    });
    expect(await written(topic)).toBe(88);
  });

  it('refuses a topic that does not exist, and finds it when it does', async () => {
    const transport = open({ autocreateTopics: false });
    const topic = `topic-${randomUUID()}`;
    const messages = [messageOf({ topic, key: 'a' }), messageOf({ topic, key: 'a' })];
    const refused = await transport.publish(messages);
    expect(statuses(refused)).toEqual(['refused', 'held']);
    expect(refused[0]).not.toMatchObject({ permanent: true });
    await createTopics(admin, { topic });
    expect(statuses(await transport.publish(messages))).toEqual(['published', 'published']);
  });

  it('says of a topic that is gone that it is unavailable, and finds another one of its name', async () => {
    const transport = open({ autocreateTopics: false });
    const topic = await newTopic();
    expect(statuses(await transport.publish([messageOf({ topic })]))).toEqual(['published']);
    await admin.deleteTopics({ topics: [topic] });
    expect(statuses(await transport.publish([messageOf({ topic })]))).toEqual(['unavailable']);
    await createTopics(admin, { topic });
    expect(statuses(await transport.publish([messageOf({ topic })]))).toEqual(['published']);
  });

  it('has a topic made where the broker does so', async () => {
    expect(statuses(await open().publish([messageOf({ topic: `topic-${randomUUID()}` })]))).toEqual([
      'published',
    ]);
  });

  it('refuses for good a topic that cannot be, and only what goes there', async () => {
    const topic = await newTopic();
    const results = await open().publish([messageOf({ topic: 'no topic!' }), messageOf({ topic })]);
    expect(results).toMatchObject([{ status: 'refused', permanent: true }, { status: 'published' }]);
  });

  it('compresses when it is told to', async () => {
    const topic = await newTopic();
    const messages = Array.from({ length: 5 }, (_, index) => messageOf({ topic, key: `${index}` }));
    await open({ compression: 'gzip' }).publish(messages);
    expect((await readAll(topic, 5)).map(({ key }) => key)).toEqual(['0', '1', '2', '3', '4']);
  });

  it('sends nothing any more when it has given up', async () => {
    const topics = await Promise.all([newTopic(), newTopic(), newTopic()]);
    const messages = topics.map((topic): Message => messageOf({ topic }));
    // The client has one request in flight, and the others wait in it.
    const settings = {
      maxInflights: 1,
      // Enough for three first requests, one after another, on a machine that does other things.
      publishTimeoutMs: 2_500,
      requestTimeout: 60_000,
      metadataMaxAge: 60_000,
    };
    const transport = open({ bootstrapBrokers: [proxyAddress], ...settings });
    expect(statuses(await transport.publish(messages))).toEqual(Array(3).fill('published'));
    proxy.isSilent = true;
    expect(statuses(await transport.publish(messages))).toEqual(Array(3).fill('unavailable'));
    expect(proxy.produced).toBe(4);
    await eventually(() => expect(proxy.connections).toBe(0));
    proxy.isSilent = false;
    expect(statuses(await transport.publish(messages))).toEqual(Array(3).fill('published'));
    expect(proxy.produced).toBe(7);
  });

  it('goes on after its connection was cut', async () => {
    const topic = await newTopic();
    const transport = open({ bootstrapBrokers: [proxyAddress] });
    await transport.publish([messageOf({ topic })]);
    proxy.isSilent = true;
    const cut = transport.publish([messageOf({ topic })]);
    await eventually(() => expect(proxy.produced).toBe(2));
    proxy.cut();
    expect(statuses(await cut)).toEqual(['unavailable']);
    proxy.isSilent = false;
    expect(statuses(await transport.publish([messageOf({ topic })]))).toEqual(['published']);
  });

  it('finds a broker that has moved', async () => {
    const topic = await newTopic();
    const moved = new KafkaProxy(server.port);
    const bootstrapBrokers = [proxyAddress, await moved.listen()];
    const transport = open({ bootstrapBrokers, metadataMaxAge: 60_000 });
    const publish = async () => statuses(await transport.publish([messageOf({ topic })]));
    expect(await publish()).toEqual(['published']);
    await proxy.close();
    expect([await publish(), await publish()]).toEqual([['unavailable'], ['published']]);
    expect([proxy.produced, moved.produced]).toEqual([1, 1]);
    await transport.close();
    await moved.close();
  });

  it('closes at once, with a request in flight, and opens nothing after that', async () => {
    const topic = await newTopic();
    const transport = open({ bootstrapBrokers: [proxyAddress] });
    await transport.publish([messageOf({ topic })]);
    proxy.isSilent = true;
    const cut = transport.publish([messageOf({ topic })]);
    await eventually(() => expect(proxy.produced).toBe(2));
    const startedAt = performance.now();
    await transport.close();
    expect(statuses(await cut)).toEqual(['unavailable']);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(statuses(await transport.publish([messageOf({ topic })]))).toEqual(['unavailable']);
    await eventually(() => expect(proxy.connections).toBe(0));
  });
});
