import { randomUUID } from 'node:crypto';
import { WIRE_HEADERS } from '@cqrs-outbox/core';
import type { ArrivedMessage, TransportHarness } from '@cqrs-outbox/testing';
import { Transport, type RmqOptions } from '@nestjs/microservices';
import { connect, type ConsumeMessage } from 'amqplib';
import { serviceUrl } from '../services/describe-with.ts';
import { Arrivals } from './arrivals.ts';
import { openTransport } from './module-transport.ts';

type RouteOptions = NonNullable<RmqOptions['options']>;

/** To one queue, by the default exchange. */
export function rabbitMqQueueHarness(): TransportHarness {
  return harness(async () => {
    const queue = `contract-${randomUUID()}`;
    return openFixture({ queue, queueOptions: { durable: true } }, queue, undefined);
  });
}

/** To a topic exchange, with the event's name as the routing key. */
export function rabbitMqExchangeHarness(): TransportHarness {
  return harness(async () => {
    const exchange = `contract-${randomUUID()}`;
    return openFixture({ exchange, exchangeType: 'topic', wildcards: true }, `${exchange}.queue`, exchange);
  });
}

function harness(open: TransportHarness['open']): TransportHarness {
  return {
    json: 'same bytes',
    acknowledgement: 'by the broker',
    maxPayloadBytes: 900 * 1024,
    open,
    openAt: (port) =>
      openTransport(
        { transport: Transport.RMQ, options: { urls: [`amqp://127.0.0.1:${port}`], queue: 'contract' } },
        500,
      ),
  };
}

async function openFixture(
  route: RouteOptions,
  queue: string,
  exchange: string | undefined,
): ReturnType<TransportHarness['open']> {
  const connection = await connect(serviceUrl('rabbitmq'));
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, { durable: true });
  if (exchange) {
    await channel.assertExchange(exchange, 'topic', { durable: true });
    await channel.bindQueue(queue, exchange, 'contract.*');
  }
  const arrivals = new Arrivals();
  await channel.consume(queue, (message) => message && arrivals.add(toArrived(message)), { noAck: true });
  const opened = await openTransport({
    transport: Transport.RMQ,
    options: { urls: [serviceUrl('rabbitmq')], ...route },
  });
  return {
    transport: opened.transport,
    topic: 'contract',
    arrivals: (ids) => arrivals.of(ids),
    // No queue is bound to that name.
    ...(exchange && { refusable: (message) => ({ ...message, name: 'unbound.happened' }) }),
    close: async () => {
      await opened.close();
      await channel.deleteQueue(queue);
      if (exchange) await channel.deleteExchange(exchange);
      await connection.close();
    },
  };
}

const PACKET = /^\{"pattern":"[^"]*","data":(.*)\}$/s;

/** The payload as it is in Nest's packet, not parsed. */
function toArrived({ content, properties }: ConsumeMessage): ArrivedMessage {
  const raw = (properties.headers ?? {}) as Record<string, unknown>;
  const headers = Object.fromEntries(Object.entries(raw).map(([name, text]) => [name, String(text)]));
  const data = PACKET.exec(content.toString('utf8'))?.[1] ?? 'no packet of Nest';
  const isEncoded = headers[WIRE_HEADERS.contentEncoding] !== undefined;
  const isJson = headers[WIRE_HEADERS.contentType] === 'application/json' && !isEncoded;
  const payload =
    data === 'null' ? null : isJson ? Buffer.from(data) : Buffer.from(JSON.parse(data) as string, 'base64');
  return { id: String(properties.messageId), key: headers[WIRE_HEADERS.key] ?? '', headers, payload };
}
