import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  CqrsOutboxModule,
  EventEmitter,
  EventHandler,
  InMemoryTransport,
  IntegrationEvent,
  NotificationEvent,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { InMemoryStore } from '@cqrs-outbox/testing';
import type { INestApplication, INestApplicationContext, Type } from '@nestjs/common';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { freePort } from '../services/wait.ts';
import { createBroker, type Broker } from '../support/brokers.ts';
import { eventually } from '../support/eventually.ts';
import { silentLogger } from '../support/silent-logger.ts';

interface Path {
  name: string;
  needs: 'kafka' | 'rabbitmq' | undefined;
  open(topic: string): Promise<Broker>;
}

const PATHS: Path[] = [
  { name: 'the in-memory server', needs: undefined, open: (topic) => createBroker('memory', topic) },
  { name: 'a TCP server, by the envelope', needs: undefined, open: tcp },
  { name: "Nest's RabbitMQ server", needs: 'rabbitmq', open: (topic) => createBroker('rabbitmq', topic) },
  { name: "Nest's Kafka server", needs: 'kafka', open: (topic) => createBroker('kafka', topic) },
  { name: 'KafkaEventServer', needs: 'kafka', open: (topic) => createBroker('kafka-batches', topic) },
];

for (const { name, needs, open } of PATHS) {
  const suite = (title: string, body: () => void): void =>
    needs ? describeWith([needs], title, body) : describe(title, body);

  suite(`consume on ${name}`, () => {
    const closings: (() => Promise<unknown>)[] = [];
    afterEach(async () => {
      for (const close of closings.splice(0).reverse()) await close();
    }, 60_000);

    async function prepare(form: 'connected' | 'created') {
      const topic = `consume${randomUUID().slice(0, 8)}`;
      const broker = await open(topic);
      closings.push(broker.cleanUp);
      const { Happened, Handler, received } = domainOf(topic);
      const module = await Test.createTestingModule({
        imports: [
          CqrsOutboxModule.forRoot({
            source: 'tests',
            store: InMemoryStore,
            transport: broker.transport,
            relay: false,
            consume: [topic],
          }),
        ],
        providers: [Handler],
      })
        .setLogger(silentLogger)
        .compile();
      const app: INestApplicationContext =
        form === 'created'
          ? await created(module.createNestMicroservice<MicroserviceOptions>(broker.server))
          : await connected(module.createNestApplication(), broker.server);
      closings.push(() => app.close());
      return { emit: (number: number) => app.get(EventEmitter).emit(Happened.of({ number })), received };
    }

    it.each(['connected', 'created'] as const)(
      'hands the events of its topics to their handlers, in a microservice that is %s',
      async (form) => {
        const { emit, received } = await prepare(form);
        await emit(1);
        await emit(2);
        await eventually(() => expect(received.map(({ number }) => number)).toEqual([1, 2]), 30_000);
        expect(new Set(received.map(({ context }) => context.messageId)).size).toBe(2);
      },
      90_000,
    );
  });
}

describe('consume of forRootAsync', () => {
  it('takes several topics, and leaves the others alone', async () => {
    const transport = new InMemoryTransport();
    const [first, second, other] = ['first', 'second', 'other'].map(domainOf);
    const domains = [first!, second!, other!];
    const module = await Test.createTestingModule({
      imports: [
        CqrsOutboxModule.forRootAsync({
          store: InMemoryStore,
          consume: ['first', 'second'],
          useFactory: () => ({ source: 'tests', transport, relay: false }),
        }),
      ],
      providers: domains.map(({ Handler }) => Handler),
    })
      .setLogger(silentLogger)
      .compile();
    const app = await connected(module.createNestApplication(), { strategy: transport.createServer() });
    for (const { Happened } of domains) await app.get(EventEmitter).emit(Happened.of({ number: 1 }));
    expect(domains.map(({ received }) => received.length)).toEqual([1, 1, 0]);
    await app.close();
  });
});

function domainOf(topic: string) {
  @IntegrationEvent({ name: `${topic}.happened`, topic, key: () => 'k' })
  class Happened extends NotificationEvent {
    @IsInt() number!: number;
  }

  const received: { number: number; context: MessageContext }[] = [];

  @EventHandler(Happened)
  class Handler implements HandlesEvent<Happened> {
    handle({ number }: Happened, context: MessageContext): void {
      received.push({ number, context });
    }
  }
  return { Happened, Handler: Handler as Type, received };
}

async function created<T extends INestApplicationContext & { listen(): Promise<unknown> }>(
  app: T,
): Promise<T> {
  await app.listen();
  return app;
}

async function connected(
  app: INestApplication,
  server: MicroserviceOptions,
): Promise<INestApplicationContext> {
  app.connectMicroservice<MicroserviceOptions>(server);
  await app.init();
  await app.startAllMicroservices();
  return app;
}

async function tcp(): Promise<Broker> {
  const options = {
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: await freePort() },
  } as const;
  return { transport: options, server: options, cleanUp: async () => undefined };
}
