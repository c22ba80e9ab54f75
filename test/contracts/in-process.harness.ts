import { InMemoryContext, InMemoryTransport, WIRE_HEADERS } from '@cqrs-outbox/core';
import { RecordingTransport, type TransportFixture, type TransportHarness } from '@cqrs-outbox/testing';
import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { Arrivals } from './arrivals.ts';
import { startReceiver } from './receiver-app.ts';
import { wireHeadersOf } from './wire-headers.ts';

const TRAITS = { json: 'same bytes', acknowledgement: 'by the broker', maxPayloadBytes: 900 * 1024 } as const;
const TOPIC = 'contract';
const OTHER_TOPIC = 'contract.other';

export const inMemoryTransportHarness: TransportHarness = { ...TRAITS, open: openInMemory };

/** The receiver looks into the transport itself. */
export const recordingTransportHarness: TransportHarness = { ...TRAITS, open: openRecording };

async function openInMemory(): Promise<TransportFixture> {
  const transport = new InMemoryTransport();
  const arrivals = new Arrivals();
  const app = await startReceiver(receiver(arrivals), { strategy: transport.createServer() });
  return {
    transport,
    topic: TOPIC,
    otherTopic: OTHER_TOPIC,
    arrivals: (ids) => arrivals.of(ids),
    // The receiver throws.
    refusable: (message) => ({ ...message, headers: { 'x-refuse': '1' } }),
    close: () => app.close(),
  };
}

function receiver(arrivals: Arrivals): Type {
  @Controller()
  class Receiver {
    @EventPattern([TOPIC, OTHER_TOPIC])
    on(@Ctx() context: InMemoryContext): void {
      const { key, headers, value: payload } = context.getMessage();
      if (headers['x-refuse']) throw new Error('refused on purpose');
      arrivals.add({
        id: headers[WIRE_HEADERS.id] ?? '',
        key,
        headers: { [WIRE_HEADERS.key]: key, ...headers },
        payload,
      });
    }
  }
  return Receiver;
}

async function openRecording(): Promise<TransportFixture> {
  const transport = new RecordingTransport();
  transport.refuse({ name: 'contract.refused' });
  return {
    transport,
    topic: TOPIC,
    otherTopic: OTHER_TOPIC,
    arrivals: async (ids) =>
      transport.published
        .filter(({ id }) => ids.includes(id))
        .map((message) => ({ ...message, headers: wireHeadersOf(message) })),
    refusable: (message) => ({ ...message, name: 'contract.refused' }),
    close: async () => undefined,
  };
}
