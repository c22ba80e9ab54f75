import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Outbox, OutboxRelay, type TransportOption } from '@cqrs-outbox/core';
import { PlatformaticKafkaTransport } from '@cqrs-outbox/kafka';
import { Transport } from '@nestjs/microservices';
import { connect } from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import { describeWith } from '../services/describe-with.ts';
import * as kafka from '../services/kafka.ts';
import * as rabbitmq from '../services/rabbitmq.ts';
import { createRunDirectory, type RunDirectory } from '../services/run-directory.ts';
import type { RunningServer, ServiceKind, ServiceName } from '../services/service.ts';
import { freePort } from '../services/wait.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/eventually.ts';
import { OrderPaid } from '../support/orders.ts';

interface OutageBroker {
  name: string;
  needs: ServiceName;
  kind: ServiceKind;
  transport(port: number): TransportOption;
  /** The steps that arrived, in order, duplicates included. */
  arrived(port: number): Promise<number[]>;
  prepare(port: number): Promise<void>;
}

const queue = `outage-${randomUUID().slice(0, 8)}`;

const KAFKA: Omit<OutageBroker, 'name' | 'transport'> = {
  needs: 'kafka',
  kind: kafka,
  prepare: async () => undefined,
  arrived: async (port) => {
    const client = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING });
    const consumer = client.consumer({ groupId: randomUUID() });
    const steps: number[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic: 'orders', fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) =>
        void steps.push((JSON.parse(String(message.value)) as { step: number }).step),
    });
    await eventually(() => expect(new Set(steps).size).toBe(6)).catch(() => undefined);
    await consumer.disconnect();
    return steps;
  },
};

const BROKERS: readonly OutageBroker[] = [
  {
    ...KAFKA,
    name: 'kafka',
    transport: (port) => ({
      transport: Transport.KAFKA,
      options: {
        client: {
          brokers: [`127.0.0.1:${port}`],
          logCreator: () => () => undefined,
          connectionTimeout: 500,
          retry: { retries: 1, initialRetryTime: 50 },
        },
      },
    }),
  },
  {
    ...KAFKA,
    name: 'kafka, by @platformatic/kafka',
    transport: (port) =>
      new PlatformaticKafkaTransport({
        bootstrapBrokers: [`127.0.0.1:${port}`],
        publishTimeoutMs: 5_000,
      }),
  },
  {
    name: 'rabbitmq',
    needs: 'rabbitmq',
    kind: rabbitmq,
    transport: (port) => ({
      transport: Transport.RMQ,
      options: {
        urls: [`amqp://guest:guest@127.0.0.1:${port}`],
        queue,
        queueOptions: { durable: true },
        socketOptions: { reconnectTimeInSeconds: 1 },
      },
    }),
    prepare: async (port) => {
      const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
      const channel = await connection.createChannel();
      await channel.assertQueue(queue, { durable: true });
      await connection.close();
    },
    arrived: async (port) => {
      const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
      const channel = await connection.createChannel();
      const steps: number[] = [];
      for (;;) {
        const message = await channel.get(queue, { noAck: true });
        if (!message) break;
        steps.push((JSON.parse(message.content.toString()) as { data: { step: number } }).data.step);
      }
      await connection.close();
      return steps;
    },
  },
];

for (const broker of BROKERS) {
  describeWith([broker.needs], `an outage of ${broker.name}`, () => {
    let directory: RunDirectory;
    let port: number;
    let server: RunningServer | undefined;
    let test: TestApp | undefined;

    beforeEach(async () => {
      directory = createRunDirectory();
      port = await freePort();
      // RabbitMQ writes the declaration of a queue to disk some time after it has answered: an orderly end does it now.
      server = await broker.kind.start(directory.path, port);
      await broker.prepare(port);
      await server.stop();
    }, 60_000);

    afterEach(async () => {
      await test?.close();
      await server?.stop();
      directory.remove();
    }, 60_000);

    const append = (...steps: number[]) =>
      test!.orm.em.fork().transactional(async () => {
        for (const step of steps) test!.app.get(Outbox).append(OrderPaid.of({ orderId: 1, step }));
      });
    const pending = async (): Promise<number> => {
      const sql = 'select count(*) as total from cqrs_outbox';
      const [row] = await test!.orm.em.fork().getConnection().execute<{ total: number | string }[]>(sql);
      return Number(row?.total);
    };
    const state = () => test!.app.get(OutboxRelay).health()[0]?.state;

    it('boots, commits and waits while the broker is away, at boot and later, and then publishes all in order', async () => {
      test = await createTestApp({
        database: 'libsql',
        options: { transport: broker.transport(port), relay: { publishTimeoutMs: 5_000, maxBackoffMs: 500 } },
      });
      await append(1, 2);
      await eventually(() => expect(state()).toBe('down'));
      expect(test.app.get(OutboxRelay).health()[0]?.reason).toMatch(/connect|ECONNREFUSED/i);
      expect(await pending()).toBe(2);

      server = await broker.kind.start(directory.path, port);
      await eventually(async () => expect(await pending()).toBe(0), 30_000);
      expect(state()).toBe('up');

      await server.stop('SIGKILL');
      await append(3, 4);
      await eventually(() => expect(state()).toBe('down'), 30_000);
      expect(await pending()).toBe(2);

      server = await broker.kind.start(directory.path, port);
      await eventually(async () => expect(await pending()).toBe(0), 60_000);
      await append(5, 6);
      await eventually(async () => expect(await pending()).toBe(0), 30_000);

      const steps = await broker.arrived(port);
      expect(steps.filter((step, index) => steps.indexOf(step) === index)).toEqual([1, 2, 3, 4, 5, 6]);
    }, 180_000);
  });
}
