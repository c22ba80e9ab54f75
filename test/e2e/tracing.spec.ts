import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  EventConsumer,
  EventHandler,
  GzipCompressor,
  IntegrationEvent,
  NotificationEvent,
  Outbox,
  RequestMediator,
  type HandlesEvent,
  type MessageContext,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { IsInt, IsString } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { BROKERS, createBroker, type Broker } from '../support/brokers.ts';
import { eventually } from '../support/eventually.ts';
import { RecordedSpans } from '../support/recorded-spans.ts';

function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.shipped`, topic, key: (event: Shipped) => String(event.orderId) })
  class Shipped extends NotificationEvent {
    @IsInt() orderId!: number;
    @IsString() secret!: string;
  }

  @IntegrationEvent({ name: `${topic}.booked`, topic, key: (event: Booked) => String(event.orderId) })
  class Booked extends NotificationEvent {
    @IsInt() orderId!: number;
  }

  class Ship extends Command {
    orderId!: number;
  }

  class Book extends Command {
    orderId!: number;
  }

  @CommandHandler(Ship)
  class ShipHandler implements RequestHandler<Ship> {
    constructor(private readonly outbox: Outbox) {}

    async execute({ orderId }: Ship): Promise<void> {
      this.outbox.append(Shipped.of({ orderId, secret: 'hush '.repeat(500) }), {
        headers: { tenant: 'acme' },
      });
    }
  }

  @CommandHandler(Book)
  class BookHandler implements RequestHandler<Book> {
    constructor(private readonly outbox: Outbox) {}

    async execute({ orderId }: Book): Promise<void> {
      this.outbox.append(Booked.of({ orderId }));
    }
  }

  const handled: { name: string; context: MessageContext }[] = [];
  const failures = { left: 0 };

  @EventHandler(Shipped)
  class BookCourier implements HandlesEvent<Shipped> {
    constructor(private readonly requests: RequestMediator) {}

    async handle({ orderId }: Shipped, context: MessageContext): Promise<void> {
      await trace.getTracer('the user').startActiveSpan('look for a courier', async (span) => {
        await Promise.resolve();
        span.end();
      });
      if (failures.left-- > 0) throw new Error('no courier: hush');
      await this.requests.send(Book.of({ orderId }));
      handled.push({ name: 'shipped', context });
    }
  }

  @EventHandler(Booked)
  class Notify implements HandlesEvent<Booked> {
    async handle(_: Booked, context: MessageContext): Promise<void> {
      handled.push({ name: 'booked', context });
    }
  }

  @Controller()
  class ShippingController {
    constructor(private readonly consumer: EventConsumer) {}

    @EventPattern(topic)
    on(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
      return this.consumer.consume(payload, context);
    }
  }

  const providers: Type[] = [ShipHandler, BookHandler, BookCourier, Notify];
  return { Ship, providers, controllers: [ShippingController] as Type[], handled, failures };
}

for (const { name, needs } of BROKERS) {
  describeWith(needs, `a trace over ${name}`, () => {
    const topic = `traced${randomUUID().slice(0, 8)}`;
    const domain = createDomain(topic);
    let spans: RecordedSpans;
    let broker: Broker;
    let test: TestApp;

    beforeAll(async () => {
      spans = RecordedSpans.start();
      broker = await createBroker(name, topic);
      test = await createTestApp({
        database: 'libsql',
        options: {
          transport: broker.transport,
          relay: { minBackoffMs: 10, maxBackoffMs: 100 },
          consumer: { minBackoffMs: 50, maxBackoffMs: 50 },
          compression: { compressor: new GzipCompressor() },
        },
        providers: domain.providers,
        controllers: domain.controllers,
        servers: [broker.server],
      });
    }, 60_000);
    afterAll(async () => {
      await test.close();
      await broker.cleanUp();
      spans.stop();
    }, 60_000);

    const ship = async (): Promise<string> => {
      domain.handled.length = 0;
      spans.clear();
      const requests = test.app.get(RequestMediator);
      return trace.getTracer('the user').startActiveSpan('POST /orders', async (span) => {
        await requests.send(domain.Ship.of({ orderId: 7 }), { correlationId: 'request-1' });
        span.end();
        return span.spanContext().traceId;
      });
    };

    it('goes from a request by command, event, handler, and the command that it sends, to the last event', async () => {
      const traceId = await ship();
      const shipped = `POST /orders > send Ship > create ${topic}`;
      const booked = `${shipped} > process ${topic} > handle BookCourier > send Book > create ${topic}`;
      await eventually(() => {
        expect(spans.pathsOf(traceId)).toEqual(
          [
            'POST /orders',
            'POST /orders > send Ship',
            shipped,
            `${shipped} > send ${topic}`,
            `${shipped} > process ${topic}`,
            `${shipped} > process ${topic} > handle BookCourier`,
            `${shipped} > process ${topic} > handle BookCourier > look for a courier`,
            `${shipped} > process ${topic} > handle BookCourier > send Book`,
            booked,
            `${booked} > send ${topic}`,
            `${booked} > process ${topic}`,
            `${booked} > process ${topic} > handle Notify`,
          ].sort(),
        );
      }, 40_000);
      expect(spans.all).toHaveLength(12);
      expect(domain.handled.map(({ context }) => context.correlationId)).toEqual(['request-1', 'request-1']);
      expect(domain.handled[0]?.context.headers).toEqual({ tenant: 'acme' });
    }, 60_000);

    it('says of each message what the conventions ask for, and nothing of what is in it', async () => {
      await ship();
      await eventually(() => expect(spans.named('handle Notify')).toHaveLength(1), 40_000);
      await eventually(() => expect(spans.named(`send ${topic}`)).toHaveLength(2), 40_000);
      const [context] = domain.handled.map((message) => message.context);
      const ofFirst = (operation: string) =>
        spans
          .named(`${operation} ${topic}`)
          .find(({ attributes }) => attributes['messaging.message.id'] === context?.messageId);
      const system = name === 'kafka-batches' ? 'kafka' : name;
      const kinds = { create: SpanKind.PRODUCER, send: SpanKind.CLIENT, process: SpanKind.CONSUMER };
      for (const [operation, kind] of Object.entries(kinds)) {
        const span = ofFirst(operation);
        expect(span?.kind).toBe(kind);
        expect(span?.attributes).toMatchObject({
          'messaging.system': system,
          'messaging.operation.name': operation,
          'messaging.operation.type': operation,
          'messaging.destination.name': topic,
          'messaging.message.conversation_id': 'request-1',
          'messaging.message.body.size': expect.any(Number),
        });
        // Compressed, as it is on the wire.
        expect(span?.attributes['messaging.message.body.size']).toBeLessThan(200);
      }
      expect(ofFirst('send')?.attributes['cqrs_outbox.attempt']).toBe(1);
      if (system === 'kafka') {
        expect(ofFirst('process')?.attributes).toMatchObject({
          'messaging.destination.partition.id': expect.stringMatching(/^[01]$/),
          'messaging.kafka.offset': expect.any(Number),
        });
      }
      expect(
        JSON.stringify(spans.all.map(({ attributes, events, status }) => [attributes, events, status])),
      ).not.toMatch(/hush|acme/);
    }, 60_000);

    it('shows each delivery, and why it failed, without the text of the error', async () => {
      domain.failures.left = 2;
      const traceId = await ship();
      await eventually(() => expect(spans.named('handle Notify')).toHaveLength(1), 40_000);
      const couriers = spans.named('handle BookCourier');
      expect(couriers.map(({ status }) => status.code)).toEqual([
        SpanStatusCode.ERROR,
        SpanStatusCode.ERROR,
        SpanStatusCode.UNSET,
      ]);
      expect(new Set(couriers.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
      const failed = spans
        .named(`process ${topic}`)
        .filter(({ status }) => status.code === SpanStatusCode.ERROR);
      expect(failed.map(({ attributes }) => attributes['error.type'])).toEqual([
        'EVENT_HANDLING',
        'EVENT_HANDLING',
      ]);
      expect(
        JSON.stringify(spans.all.map(({ attributes, events, status }) => [attributes, events, status])),
      ).not.toMatch(/hush/);
    }, 60_000);
  });
}
