import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  EventConsumer,
  EventHandler,
  InMemoryContext,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  Outbox,
  RabbitMqEventDeserializer,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { KafkaContext, RmqContext, ServerRMQ } from '@nestjs/microservices';
import { Type } from 'class-transformer';
import { IsDate, IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { OrderPaid, Tally } from '../support/orders.ts';

@IntegrationEvent({ name: 'parcels.sent', version: 2, topic: 'parcels' })
class ParcelSent extends NotificationEvent {
  @IsInt() parcelId!: number;
  @IsDate() @Type(() => Date) sentAt!: Date;
}

const behaviour = { fail: 0, calls: [] as { event: ParcelSent; context: MessageContext }[] };

@EventHandler(ParcelSent)
class CountParcels implements HandlesEvent<ParcelSent> {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async handle(event: ParcelSent, context: MessageContext): Promise<void> {
    behaviour.calls.push({ event, context });
    const tally = await this.em.findOneOrFail(Tally, { name: 'parcels' });
    tally.count++;
    this.outbox.append(OrderPaid.of({ orderId: event.parcelId, step: 1 }));
  }
}

@EventHandler(ParcelSent)
class MaybeFails implements HandlesEvent<ParcelSent> {
  constructor(private readonly em: EntityManager) {}

  async handle(): Promise<void> {
    const tally = await this.em.findOneOrFail(Tally, { name: 'sibling' });
    tally.count++;
    await this.em.flush();
    if (behaviour.fail-- > 0) throw new Error('sibling is not well');
  }
}

const DEEP = `${'['.repeat(60_000)}${']'.repeat(60_000)}`;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the consumer on ${name}`, () => {
    let test: TestApp;
    let consumer: EventConsumer;

    beforeEach(async () => {
      behaviour.fail = 0;
      behaviour.calls = [];
      test = await createTestApp({
        database: name,
        options: {
          transport: new NullTransport(),
          consumer: { maxAttempts: 3, minBackoffMs: 1, maxBackoffMs: 1 },
        },
        providers: [CountParcels, MaybeFails],
      });
      consumer = test.app.get(EventConsumer);
      await test.orm.em.fork().insertMany(Tally, [
        { name: 'parcels', count: 0 },
        { name: 'sibling', count: 0 },
      ]);
    });
    afterEach(() => test.close());

    const select = (sql: string) =>
      test.orm.em.fork().getConnection().execute<Record<string, unknown>[]>(sql);
    const count = async (tally: string) =>
      (await test.orm.em.fork().findOneOrFail(Tally, { name: tally })).count;

    const payload = { parcelId: 5, sentAt: '2026-01-02T03:04:05.000Z' };
    const headers = (changes: Record<string, string> = {}) => ({
      ce_id: randomUUID(),
      ce_type: 'parcels.sent',
      ce_source: 'parcels-service',
      ce_eventversion: '2',
      ce_specversion: '1.0',
      'content-type': 'application/json',
      ...changes,
    });
    const memory = (value: string | null, given = headers()) =>
      new InMemoryContext([
        { topic: 'parcels', key: 'k', headers: given, value: value === null ? null : Buffer.from(value) },
      ]);

    it('lets a message wait that comes before the application has booted', async () => {
      let consumed: Promise<void> | undefined;
      const early = await createTestApp({
        database: name,
        options: { transport: new NullTransport() },
        providers: [CountParcels, MaybeFails],
        beforeInit: async (app, orm) => {
          await orm.em.fork().insertMany(Tally, [
            { name: 'parcels', count: 0 },
            { name: 'sibling', count: 0 },
          ]);
          consumed = app.get(EventConsumer).consume(payload, memory(JSON.stringify(payload)));
        },
      });
      await consumed;
      expect(behaviour.calls).toHaveLength(1);
      await early.close();
    });

    it('rebuilds the class of the event, validated, with its context', async () => {
      const given = headers({ ce_correlationid: 'c-1', ce_causationid: 'c-0', tenant: 'acme' });
      await consumer.consume(payload, memory(JSON.stringify(payload), given));
      const [call] = behaviour.calls;
      expect(call?.event).toBeInstanceOf(ParcelSent);
      expect(call?.event.sentAt).toEqual(new Date(payload.sentAt));
      expect(call?.context).toMatchObject({
        messageId: given.ce_id,
        version: 2,
        source: 'parcels-service',
        correlationId: 'c-1',
        causationId: 'c-0',
        headers: { tenant: 'acme' },
        coordinates: 'memory parcels/k',
      });
    });

    it('lets what a handler appends carry on correlation and causation', async () => {
      const given = headers({ ce_correlationid: 'c-1' });
      await consumer.consume(payload, memory(JSON.stringify(payload), given));
      const rows = await select('select correlation_id, causation_id from cqrs_outbox');
      expect(rows).toEqual([{ correlation_id: 'c-1', causation_id: given.ce_id }]);
    });

    it('has the effect of a message that is delivered twice happen once', async () => {
      const context = memory(JSON.stringify(payload));
      await consumer.consume(payload, context);
      await consumer.consume(payload, context);
      expect([await count('parcels'), await count('sibling'), behaviour.calls.length]).toEqual([1, 1, 1]);
      expect(await select('select name from cqrs_outbox')).toHaveLength(1);
    });

    it('has the effect happen once for deliveries at the same time', async () => {
      const given = headers();
      const deliver = () => consumer.consume(payload, memory(JSON.stringify(payload), given));
      await Promise.all(Array.from({ length: 5 }, deliver));
      expect([await count('parcels'), await count('sibling')]).toEqual([1, 1]);
    });

    it('handles one delivery once that two controllers hand over, and acknowledges it once', async () => {
      const acknowledged: unknown[] = [];
      const message = { content: Buffer.from(''), fields: {}, properties: { headers: headers() } };
      const context = new RmqContext([message, { ack: (acked: unknown) => acknowledged.push(acked) }, 'p']);
      await Promise.all([consumer.consume(payload, context), consumer.consume(payload, context)]);
      // Nest runs pipes and guards before, which may take longer for one of them.
      await consumer.consume(payload, context);
      expect(acknowledged).toEqual([message]);
      expect(consumer.counts).toMatchObject({ received: 1, handled: 1, duplicates: 0 });
    });

    it('commits the handlers that succeed, and repeats the one that failed', async () => {
      behaviour.fail = 1;
      const context = memory(JSON.stringify(payload));
      await expect(consumer.consume(payload, context)).rejects.toMatchObject({
        code: 'EVENT_HANDLING',
        failures: [{ handler: 'MaybeFails' }],
      });
      expect([await count('parcels'), await count('sibling')]).toEqual([1, 0]);
      await consumer.consume(payload, context);
      expect([await count('parcels'), await count('sibling')]).toEqual([1, 1]);
    });

    it('acknowledges on RabbitMQ after the commit, whatever number of tries it took', async () => {
      const told: string[] = [];
      const given = headers();
      const message = {
        content: Buffer.from(''),
        fields: { exchange: 'parcels', routingKey: 'parcels.sent', deliveryTag: 1 },
        properties: { headers: given },
      };
      const channel = {
        ack: (acked: unknown) => void told.push(`ack ${acked === message}`),
        nack: () => void told.push('nack'),
      };
      const context = new RmqContext([message, channel, 'parcels']);
      behaviour.fail = 2;
      await consumer.consume(payload, context);
      expect(told).toEqual(['ack true']);
      expect([await count('parcels'), await count('sibling'), behaviour.calls.length]).toEqual([1, 1, 1]);
    });

    it('sets aside what is nested so deeply that it can not be written again', async () => {
      const nested: unknown = JSON.parse(DEEP);
      const message = { value: nested, key: 'k', headers: headers(), offset: '42' };
      await consumer.consume(nested, new KafkaContext([message, 3, 'parcels'] as never));
      const [letter] = await select('select coordinates from cqrs_inbox_dead_letter');
      expect(letter).toEqual({ coordinates: 'kafka parcels[3]@42' });
    });

    it('tries again on Kafka while the partition waits, and the offset moves on when all have committed', async () => {
      const message = { value: payload, key: 'k', headers: headers(), offset: '42' };
      const context = new KafkaContext([message, 3, 'parcels'] as never);
      behaviour.fail = 2;
      await consumer.consume(payload, context);
      expect(behaviour.calls[0]?.context.coordinates).toBe('kafka parcels[3]@42');
      expect([await count('parcels'), await count('sibling'), behaviour.calls.length]).toEqual([1, 1, 1]);
    });

    it('takes the plain envelope of other transports', async () => {
      const envelope = {
        id: randomUUID(),
        name: 'parcels.sent',
        version: 2,
        source: 's',
        topic: 'parcels',
        key: 'k',
        headers: { tenant: 'acme' },
        payload: { ...payload, id: 'payload', name: 'payload' },
      };
      await consumer.consume(envelope, {});
      expect(behaviour.calls[0]?.context).toMatchObject({
        messageId: envelope.id,
        headers: { tenant: 'acme' },
        topic: 'parcels',
      });
      expect(behaviour.calls[0]?.event).toMatchObject({ id: 'payload', name: 'payload' });
    });

    it('acknowledges an event name that has no class here', async () => {
      await consumer.consume({}, memory('{}', headers({ ce_type: 'letters.sent' })));
      expect(behaviour.calls).toEqual([]);
      expect(await select('select * from cqrs_inbox_dead_letter')).toEqual([]);
    });

    const rejected: [string, string | null, Record<string, string>, RegExp][] = [
      ['is none of ours', '{}', { ce_id: '', ce_type: '' }, /none of ours/],
      ['is not JSON', 'not json at all', {}, /payload can't be read/],
      ['is no object', '[1,2]', {}, /no object/],
      [
        'has an unknown version',
        JSON.stringify(payload),
        { ce_eventversion: '3' },
        /version 3 of parcels\.sent is unknown, the class here has 2/,
      ],
      [
        'has a version that is no number',
        JSON.stringify(payload),
        { ce_eventversion: 'x' },
        /ce_eventversion is no positive integer/,
      ],
      ['is nested too deeply', DEEP, {}, /can't be read|no object|call stack/],
      ['breaks the rules of its class', '{"parcelId":"x","sentAt":"yesterday"}', {}, /parcelId \(isInt/],
      ['has an id that is too long', JSON.stringify(payload), { ce_id: 'x'.repeat(65) }, /ce_id is over 64/],
      ['has a NUL in its id', JSON.stringify(payload), { ce_id: 'a\0b' }, /white space/],
    ];
    it.each(rejected)('sets aside a message that %s, and goes on', async (_, value, changes, reason) => {
      const given = headers(changes);
      await consumer.consume(value, memory(value, given));
      expect(behaviour.calls).toEqual([]);
      const [letter, ...rest] = await select('select * from cqrs_inbox_dead_letter');
      expect(rest).toEqual([]);
      expect(letter?.['reason']).toMatch(reason);
      expect(letter?.['coordinates']).toBe('memory parcels/k');
      expect(Buffer.from(letter?.['payload'] as Buffer).toString()).toBe(value);
      await consumer.consume(payload, memory(JSON.stringify(payload)));
      expect(await count('parcels')).toBe(1);
    });

    it('does not acknowledge what it could not set aside', async () => {
      await test.orm.em.fork().getConnection().execute('drop table cqrs_inbox_dead_letter');
      await expect(consumer.consume('x', memory('x'))).rejects.toThrow(/cqrs_inbox_dead_letter/);
    });
  });
}

describeWith([], 'the RabbitMQ deserializer', () => {
  const deserializer = new RabbitMqEventDeserializer('meetings');
  const properties = { headers: { ce_type: 'meetings.closed' } };
  /** As JSON: Nest parses it. */
  const pattern = '"meetings"';

  it("unpacks Nest's packet", () => {
    const packet = { pattern: 'meetings.closed', data: { a: 1 } };
    expect(deserializer.deserialize(packet, properties)).toEqual({ pattern, data: { a: 1 } });
  });

  it('leaves alone a bare payload, also one that looks like a packet', () => {
    const payload = { pattern: 'tartan', data: 'blue' };
    expect(deserializer.deserialize(payload, properties)).toEqual({ pattern, data: payload });
    expect(deserializer.deserialize('not json', {})).toEqual({ pattern, data: 'not json' });
    expect(deserializer.deserialize(null)).toEqual({ pattern, data: null });
  });

  it.each([
    ['meetings', false],
    ['1e3', false],
    ['"quoted"', false],
    ['meetings.*', true],
  ])('leads to the controller of %s', async (eventPattern, wildcards) => {
    const server = new ServerRMQ({ wildcards, deserializer: new RabbitMqEventDeserializer(eventPattern) });
    const handled: unknown[] = [];
    server.addHandler(eventPattern, async (data) => void handled.push(data), true);
    await server.handleMessage({ content: Buffer.from('{"a":1}'), properties, fields: {} }, {});
    expect(handled).toEqual([{ a: 1 }]);
  });
});
