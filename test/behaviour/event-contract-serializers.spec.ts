import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  bigIntCodec,
  Encoded,
  EventConsumer,
  EventEmitter,
  EventHandler,
  IntegrationEvent,
  JsonSerializer,
  NotificationEvent,
  Serializer,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { Controller } from '@nestjs/common';
import {
  Ctx,
  EventPattern,
  KafkaContext,
  KafkaRetriableException,
  Payload,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { BROKERS, createBroker, type Broker } from '../support/brokers.ts';
import { ContractApp } from '../support/contract-app.ts';
import { eventually } from '../support/eventually.ts';
import { messageType, ProtobufSerializer } from '../support/protobuf-serializer.ts';

@IntegrationEvent({
  name: 'seats.taken',
  version: 2,
  topic: 'seats',
  upcasters: { 1: ({ seat, ...rest }) => ({ ...rest, row: seat }) },
})
class SeatTaken extends NotificationEvent {
  @IsInt() row!: number;
  @Encoded(bigIntCodec) price!: bigint;
}

const TYPES = {
  'seats.taken@1': messageType('SeatTakenV1', { seat: 'int32', price: 'string' }),
  'seats.taken@2': messageType('SeatTakenV2', { row: 'int32', price: 'string' }),
};

/** One that an application had before. */
class ReversedSerializer extends Serializer {
  readonly contentType = 'text/x-reversed; charset=utf-8';
  readonly #json = new JsonSerializer();
  serialize(event: object): Buffer {
    return this.#json.serialize(event).reverse();
  }
  deserialize(payload: Buffer): unknown {
    return this.#json.deserialize(Buffer.from(payload).reverse());
  }
}

describe('a consumer', () => {
  const json = '{"row":3,"price":"7"}';
  let app: ContractApp;
  afterEach(() => app.close());

  const read = async (contentType: string, payload: Buffer | string, version = 2) => {
    app.received.length = 0;
    await app.receive({ name: 'seats.taken', version, payload, contentType });
    return app.only(SeatTaken);
  };

  it('reads by the content type: its own serializer, a former one, and JSON in any case', async () => {
    const protobuf = new ProtobufSerializer(TYPES);
    const former = new ReversedSerializer();
    app = await ContractApp.start([SeatTaken], { serializer: protobuf, consumer: { serializers: [former] } });
    const event = SeatTaken.of({ row: 3, price: 7n });
    const type = { name: 'seats.taken', version: 2, eventClass: SeatTaken };
    expect(await read('application/protobuf', protobuf.serialize(event, type))).toEqual(event);
    expect(await read('text/x-reversed', former.serialize(event))).toEqual(event);
    for (const contentType of ['application/json', 'Application/JSON; charset=utf-8', ''])
      expect(await read(contentType, json)).toEqual(event);
  });

  it('gives its serializer the version of the message, and upcasts what it has read', async () => {
    const protobuf = new ProtobufSerializer(TYPES);
    app = await ContractApp.start([SeatTaken], { serializer: protobuf });
    const old = TYPES['seats.taken@1'];
    const payload = Buffer.from(old.encode(old.fromObject({ seat: 9, price: '1' })).finish());
    expect(await read('application/protobuf', payload, 1)).toMatchObject({ row: 9, price: 1n });
    expect(protobuf.read).toEqual(['seats.taken@1']);
  });

  it('writes by the configured serializer', async () => {
    app = await ContractApp.start([SeatTaken], { serializer: new ProtobufSerializer(TYPES) });
    const event = SeatTaken.of({ row: 3, price: 2n ** 70n });
    expect(await app.roundTrip(event)).toEqual(event);
    const bytes = await app.append(event);
    expect(TYPES['seats.taken@2'].decode(bytes).toJSON()).toEqual({ row: 3, price: String(2n ** 70n) });
  });

  it.each([
    ['of an unknown content type', 'application/avro', json, /no serializer reads "application\/avro"/],
    ['of an empty content type', ' ', json, /no serializer reads " ", there are application\/json, app/],
    ['that is not what its content type says', 'application/protobuf', '\n~', /payload can't be read/],
  ])('sets aside a payload %s', async (_, contentType, payload, reason) => {
    app = await ContractApp.start([SeatTaken], { serializer: new ProtobufSerializer(TYPES) });
    await app.receive({ name: 'seats.taken', version: 2, payload, contentType });
    expect([app.received, app.rejected().length]).toEqual([[], 1]);
    expect(app.rejected()[0]?.reason).toMatch(reason);
  });

  it.each([
    ['text', '\b\u0003'],
    ['what was parsed as JSON', { row: 3 }],
  ])("does not take %s of Nest's Kafka server for the bytes that were sent", async (_, value) => {
    const consumer = { minBackoffMs: 1, maxBackoffMs: 1 };
    app = await ContractApp.start([SeatTaken], { serializer: new ProtobufSerializer(TYPES), consumer });
    const headers = { ce_id: 'i', ce_type: 'seats.taken', ce_eventversion: '2' };
    const consume = (contentType: string) => {
      const message = { value, key: 'k', offset: '1', headers: { ...headers, 'content-type': contentType } };
      return app.consumer.consume(value, new KafkaContext([message, 0, 'seats'] as never));
    };
    const givenBack = expect(consume('application/protobuf')).rejects.toBeInstanceOf(KafkaRetriableException);
    await consume('application/vnd.acme+json');
    expect(app.received).toEqual([]);
    expect(app.rejected().map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/no serializer reads/),
    ]);
    await app.consumer.onModuleDestroy();
    await givenBack;
  });

  it('is not booted with serializers that are none, or of one content type', async () => {
    app = await ContractApp.start([]);
    const start = ContractApp.start([], {
      serializer: new ReversedSerializer(),
      consumer: { serializers: [{}, new ReversedSerializer(), null] as never },
    });
    await expect(start).rejects.toMatchObject({
      faults: [
        'consumer.serializers[0] must be a Serializer, with a content type such as application/protobuf',
        'consumer.serializers[1] has the content type text/x-reversed of serializer',
        'consumer.serializers[2] must be a Serializer, with a content type such as application/protobuf',
      ],
    });
  });
});

/** The events, handler and controller of one run, on a topic of its own. */
function createDomain(topic: string) {
  @IntegrationEvent({ name: `${topic}.seat`, topic, key: (event: Seat) => String(event.row) })
  class Seat extends NotificationEvent {
    @IsInt() row!: number;
    @Encoded(bigIntCodec) price!: bigint;
  }

  const received: { event: Seat; context: MessageContext }[] = [];

  @EventHandler(Seat)
  class ReceiveSeat implements HandlesEvent<Seat> {
    handle(event: Seat, context: MessageContext): void {
      received.push({ event, context });
    }
  }

  @Controller()
  class SeatsController {
    constructor(private readonly consumer: EventConsumer) {}

    @EventPattern(topic)
    on(@Payload() payload: unknown, @Ctx() context: unknown) {
      return this.consumer.consume(payload, context);
    }
  }

  const types = { [`${topic}.seat@1`]: messageType('Seat', { row: 'int32', price: 'string' }) };
  return { Seat, ReceiveSeat, SeatsController, received, types };
}

/** Kafka's server would make text of the bytes. */
function keepingBytes(server: MicroserviceOptions): MicroserviceOptions {
  const { options } = server as { options?: { consumer?: object } };
  if (!options?.consumer) return server;
  return { ...server, options: { ...options, parser: { keepBinary: true } } } as MicroserviceOptions;
}

for (const { name, needs } of BROKERS) {
  describeWith(needs, `a change from JSON to Protocol Buffers on ${name}`, () => {
    const topic = `contract${randomUUID().slice(0, 8)}`;
    const { Seat, ReceiveSeat, SeatsController, received, types } = createDomain(topic);
    let broker: Broker;
    let reader: TestApp;
    let before: TestApp;

    beforeAll(async () => {
      broker = await createBroker(name, topic);
      const { transport } = broker;
      before = await createTestApp({ database: 'libsql', options: { transport } });
      reader = await createTestApp({
        database: 'libsql',
        options: { transport, serializer: new ProtobufSerializer(types) },
        providers: [ReceiveSeat],
        controllers: [SeatsController],
        servers: [keepingBytes(broker.server)],
      });
    }, 60_000);

    afterAll(async () => {
      await reader.close();
      await before.close();
      await broker.cleanUp();
    }, 60_000);

    it('carries events in the new encoding, and still reads those of before', async () => {
      // 1,000 and more have bytes that are no UTF-8.
      const rows = [0, 1, 200, 1_000, 2_000_000_000, -5];
      for (const row of rows) {
        const event = Seat.of({ row, price: BigInt(row) ** 3n });
        await before.app.get(EventEmitter).emit(event);
        await reader.app.get(EventEmitter).emit(event);
      }
      await eventually(() => expect(received).toHaveLength(2 * rows.length), 30_000);
      for (const row of rows) {
        const events = received.filter(({ event }) => event.row === row).map(({ event }) => event);
        const expected = Seat.of({ row, price: BigInt(row) ** 3n });
        expect(events).toEqual([expected, expected]);
        expect(events[0]).toBeInstanceOf(Seat);
      }
    }, 60_000);
  });
}
