import { randomUUID } from 'node:crypto';
import type { Envelope } from '@cqrs-outbox/core';
import type { ArrivedMessage, TransportFixture, TransportHarness } from '@cqrs-outbox/testing';
import { Controller, type Type } from '@nestjs/common';
import { EventPattern, Payload, type ClientOptions, type MicroserviceOptions } from '@nestjs/microservices';
import { Arrivals } from './arrivals.ts';
import { openTransport } from './module-transport.ts';
import { startReceiver } from './receiver-app.ts';
import { wireHeadersOf } from './wire-headers.ts';

/** One of Nest's transports that have no adapter of their own here. */
export interface NestTransportOptions {
  readonly server: MicroserviceOptions;
  readonly client: ClientOptions;
  clientAt(port: number): ClientOptions;
  readonly refusable?: TransportFixture['refusable'];
}

/** Any Nest transport, with a Nest microservice at the other end. */
export function nestClientHarness(
  acknowledgement: TransportHarness['acknowledgement'],
  options: () => Promise<NestTransportOptions>,
): TransportHarness {
  return {
    json: 'same meaning',
    acknowledgement,
    // The envelope takes more, and base64 a third.
    maxPayloadBytes: 600 * 1024,
    open: async () => openFixture(await options()),
    openAt: async (port) => openTransport((await options()).clientAt(port), 500),
  };
}

async function openFixture({ server, client, refusable }: NestTransportOptions): Promise<TransportFixture> {
  const topic = `contract.${randomUUID()}`;
  const arrivals = new Arrivals();
  const app = await startReceiver(receiver(topic, arrivals), server);
  const opened = await openTransport(client);
  return {
    transport: opened.transport,
    topic,
    arrivals: (ids) => arrivals.of(ids),
    ...(refusable && { refusable }),
    close: async () => {
      await opened.close();
      await app.close();
    },
  };
}

function receiver(topic: string, arrivals: Arrivals): Type {
  @Controller()
  class Receiver {
    @EventPattern(topic)
    on(@Payload() envelope: object): void {
      arrivals.add(toArrived(envelope as Envelope));
    }
  }
  return Receiver;
}

function toArrived(envelope: Envelope): ArrivedMessage {
  const { id, key, payload } = envelope;
  const headers = wireHeadersOf(envelope);
  return { id, key, headers, payload: payload === null ? null : toBytes(envelope) };
}

function toBytes({ payload, contentType, contentEncoding }: Envelope): Buffer {
  return contentType === 'application/json' && contentEncoding === undefined
    ? Buffer.from(JSON.stringify(payload))
    : Buffer.from(payload as string, 'base64');
}
