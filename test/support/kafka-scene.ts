import { randomUUID } from 'node:crypto';
import { KafkaEventServer, type KafkaEventServerOptions } from '@cqrs-outbox/core';
import { Controller, type INestApplication, type Type } from '@nestjs/common';
import {
  Ctx,
  EventPattern,
  Payload,
  type CustomTransportStrategy,
  type KafkaContext,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { Kafka, logLevel, type Admin, type Message, type Producer } from 'kafkajs';
import { createTopics } from './create-topics.ts';
import { silentLogger } from './silent-logger.ts';

/** What a controller of the scene was called with. */
export interface KafkaCall {
  readonly key: string | null;
  /** The number in the value; -1 for a tombstone. */
  readonly step: number;
  readonly partition: number;
  readonly offset: number;
  readonly payload: unknown;
  readonly context: KafkaContext;
}

/** A controller under the test's command. */
export class KafkaProbe {
  /** Each call, in the order in which they began. */
  readonly calls: KafkaCall[] = [];
  /** Calls that came to their end. */
  readonly handled: KafkaCall[] = [];
  running = 0;
  mostRunning = 0;
  onMessage: (call: KafkaCall) => Promise<void> = async () => undefined;

  stepsOf(key: string | null, calls = this.handled): number[] {
    return calls.filter((call) => call.key === key).map(({ step }) => step);
  }

  async receive(payload: unknown, context: KafkaContext): Promise<void> {
    const { key, offset } = context.getMessage();
    const call: KafkaCall = {
      key: key ? String(key) : null,
      step: (payload as { step: number } | null)?.step ?? -1,
      partition: context.getPartition(),
      offset: Number(offset),
      payload,
      context,
    };
    this.calls.push(call);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      await this.onMessage(call);
      this.handled.push(call);
    } finally {
      this.running--;
    }
  }
}

type ServerSettings = Partial<KafkaEventServerOptions>;

/** A topic and a group of the test's own, and applications that consume it. */
export class KafkaScene {
  readonly topic = `scene-${randomUUID()}`;
  readonly groupId = `group-${randomUUID()}`;
  readonly #client: { brokers: string[]; logLevel: logLevel };
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #apps: INestApplication[] = [];

  constructor(readonly brokers: string[]) {
    this.#client = { brokers, logLevel: logLevel.NOTHING };
    const kafka = new Kafka(this.#client);
    this.#admin = kafka.admin();
    this.#producer = kafka.producer();
  }

  async open(numPartitions: number): Promise<void> {
    await this.#admin.connect();
    await createTopics(this.#admin, { topic: this.topic, numPartitions });
    await this.#producer.connect();
  }

  async close(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.close()));
    await this.#producer.disconnect();
    await this.#admin.disconnect();
  }

  /** In one request, so that a consumer gets them in one batch. */
  async send(...messages: (Omit<Message, 'value'> & { step: number | null })[]): Promise<void> {
    const records = messages.map(({ step, ...message }) => ({
      ...message,
      value: step === null ? null : JSON.stringify({ step }),
    }));
    await this.#producer.send({ topic: this.topic, messages: records });
  }

  /** A server with options that suit tests: from the beginning of the topic, and quick to notice what has changed. */
  server({ client, consumer, ...settings }: ServerSettings = {}): KafkaEventServer {
    return new KafkaEventServer({
      client: { ...this.#client, logCreator: () => () => undefined, ...client },
      consumer: { groupId: this.groupId, maxWaitTimeInMs: 200, heartbeatInterval: 500, ...consumer },
      subscribe: { fromBeginning: true },
      ...settings,
    });
  }

  /** An application that hands the topic's messages to the probe. */
  async consume(
    probe: KafkaProbe,
    strategy: CustomTransportStrategy | MicroserviceOptions = this.server(),
  ): Promise<INestApplication> {
    const module = await Test.createTestingModule({ controllers: [controllerOf(this.topic, probe)] })
      .setLogger(silentLogger)
      .compile();
    const app = module.createNestApplication();
    app.connectMicroservice<MicroserviceOptions>('listen' in strategy ? { strategy } : strategy);
    this.#apps.push(app);
    await app.startAllMicroservices();
    return app;
  }

  /** Where the topic ends, by partition. */
  async ends(): Promise<number[]> {
    return inOrder(await this.#admin.fetchTopicOffsets(this.topic));
  }

  /** Where the group stands, by partition; -1 for one of which nothing is committed. */
  async committed(): Promise<number[]> {
    const groupId = `${this.groupId}-server`;
    const [offsets] = await this.#admin.fetchOffsets({ groupId, topics: [this.topic] });
    return inOrder(offsets?.partitions ?? []);
  }
}

function inOrder(partitions: readonly { partition: number; offset: string }[]): number[] {
  return partitions.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}

function controllerOf(topic: string, probe: KafkaProbe): Type {
  @Controller()
  class ProbeController {
    @EventPattern(topic)
    on(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
      return probe.receive(payload, context as KafkaContext);
    }
  }
  return ProbeController;
}
