import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  CqrsOutboxError,
  DomainEvent,
  EventEmitter,
  EventValidationError,
  IntegrationEvent,
  NotificationEvent,
  NullTransport,
  Outbox,
  type AppendOptions,
  type CqrsOutboxErrorCode,
} from '@cqrs-outbox/core';
import { RecordingTransport } from '@cqrs-outbox/testing';
import { Type } from 'class-transformer';
import { IsInt, ValidateNested } from 'class-validator';
import { createTestApp, type TestApp } from '../support/app.ts';
import { OrderPaid } from '../support/orders.ts';

class Line {
  @IsInt() quantity!: number;
}

@IntegrationEvent({ name: 'test.valid', topic: 'test', key: (event: Valid) => event.key })
class Valid extends NotificationEvent {
  key: string = 'k';
  at?: Date;
  anything?: unknown;
  @ValidateNested({ each: true }) @Type(() => Line) lines: Line[] = [];
}

class Undeclared extends NotificationEvent {}

@IntegrationEvent({ name: 'test.valid', topic: 'other' })
class SameName extends NotificationEvent {}

@IntegrationEvent({ name: 'test.elsewhere', topic: 'test', destinations: ['nowhere'] })
class Elsewhere extends NotificationEvent {}

@IntegrationEvent({
  name: 'test.key',
  topic: 'test',
  key: () => {
    throw new Error('no id yet');
  },
})
class BrokenKey extends NotificationEvent {}

class Local extends DomainEvent {}

describe('append', () => {
  let test: TestApp;
  let outbox: Outbox;

  beforeEach(async () => {
    test = await createTestApp({
      database: 'libsql',
      options: { transport: new NullTransport(), maxPayloadBytes: 1_000, events: [Valid] },
    });
    outbox = test.app.get(Outbox);
  });
  afterEach(() => test.close());

  const names = async () => {
    const rows = await test.orm.em
      .fork()
      .getConnection()
      .execute<{ name: string }[]>('select name from cqrs_outbox order by id');
    return rows.map(({ name }) => name);
  };

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const faults: readonly [string, CqrsOutboxErrorCode, () => NotificationEvent, AppendOptions?][] = [
    ['a class without @IntegrationEvent', 'EVENT_NOT_DECLARED', () => Undeclared.of()],
    ['a name of another class', 'EVENT_NAME_CONFLICT', () => SameName.of()],
    ['an invalid event', 'EVENT_VALIDATION', () => OrderPaid.of({ orderId: 'x' as never, step: 1 })],
    [
      'an invalid nested object',
      'EVENT_VALIDATION',
      () => Valid.of({ key: 'k', lines: [Object.assign(new Line(), { quantity: 'x' })] }),
    ],
    ['a BigInt', 'PAYLOAD_NOT_SERIALIZABLE', () => Valid.of({ key: 'k', lines: [], anything: { big: 1n } })],
    ['a cycle', 'PAYLOAD_NOT_SERIALIZABLE', () => Valid.of({ key: 'k', lines: [], anything: cycle })],
    [
      'a payload over maxPayloadBytes',
      'PAYLOAD_TOO_LARGE',
      () => Valid.of({ key: 'k', lines: [], anything: 'ü'.repeat(500) }),
    ],
    ['an empty key', 'EVENT_KEY', () => Valid.of({ key: '', lines: [] })],
    ['a key that is no string', 'EVENT_KEY', () => Valid.of({ key: 7 as never, lines: [] })],
    ['a key that is too long', 'EVENT_KEY', () => Valid.of({ key: 'x'.repeat(192), lines: [] })],
    ['a key with a NUL', 'EVENT_KEY', () => Valid.of({ key: 'a\0b', lines: [] })],
    ['a key that ends in a space', 'EVENT_KEY', () => Valid.of({ key: 'a ', lines: [] })],
    ['a key function that throws', 'EVENT_KEY', () => BrokenKey.of()],
    ['an unknown destination', 'UNKNOWN_DESTINATION', () => Elsewhere.of()],
    [
      'a header of the envelope',
      'EVENT_HEADER',
      () => Valid.of({ key: 'k', lines: [] }),
      { headers: { CE_id: 'mine' } },
    ],
    [
      'a header that is no text',
      'EVENT_HEADER',
      () => Valid.of({ key: 'k', lines: [] }),
      { headers: { a: 1 as never } },
    ],
    [
      'a header with a long name',
      'EVENT_HEADER',
      () => Valid.of({ key: 'k', lines: [] }),
      { headers: { ['x'.repeat(256)]: '' } },
    ],
    [
      'headers that are too large',
      'EVENT_HEADER',
      () => Valid.of({ key: 'k', lines: [] }),
      { headers: { a: 'x'.repeat(20_000) } },
    ],
    ...[new Date(Number.NaN), new Date(-1), '2030-01-01', 1_900_000_000_000, null, {}].map(
      (availableAt): (typeof faults)[number] => [
        `availableAt ${availableAt instanceof Date ? availableAt.getTime() : JSON.stringify(availableAt)}`,
        'EVENT_DELAY',
        () => Valid.of({ key: 'k', lines: [] }),
        { availableAt: availableAt as Date },
      ],
    ),
  ];

  it.each(faults)('refuses %s with the code %s, and the transaction can go on', async (...row) => {
    const [, code, make, options] = row;
    await test.orm.em.fork().transactional(async () => {
      const append = (): void => outbox.append(make(), options);
      expect(append).toThrow(CqrsOutboxError);
      let thrown: unknown;
      try {
        append();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code });
      outbox.append(OrderPaid.of({ orderId: 1, step: 1 }));
    });
    expect(await names()).toEqual(['orders.paid']);
  });

  it('names each property and rule of an invalid event', async () => {
    await test.orm.em.fork().transactional(async () => {
      const lines = [Object.assign(new Line(), { quantity: 'x' })];
      let thrown: unknown;
      try {
        outbox.append(Valid.of({ key: 'k', lines }));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(EventValidationError);
      expect((thrown as EventValidationError).violations).toEqual([
        { property: 'lines[0].quantity', rules: { isInt: expect.any(String) as unknown } },
      ]);
    });
  });

  it('stores what is to be sent, with the attributes of the envelope', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    await test.orm.em.fork().transactional(async () => {
      outbox.append(Valid.of({ key: 'k', lines: [], at }), { headers: { tenant: 'acme' } });
    });
    const [row] = await test.orm.em
      .fork()
      .getConnection()
      .execute<Record<string, unknown>[]>('select * from cqrs_outbox');
    expect(row).toMatchObject({
      destination: 'default',
      topic: 'test',
      message_key: 'k',
      name: 'test.valid',
      version: 1,
      source: 'tests',
      content_type: 'application/json',
      headers: '{"tenant":"acme"}',
      causation_id: null,
    });
    expect(row?.['message_id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(row?.['correlation_id']).toBe(row?.['message_id']);
    const payload = JSON.parse(Buffer.from(row?.['payload'] as Buffer).toString()) as unknown;
    expect(payload).toEqual({ key: 'k', lines: [], at: at.toISOString() });
  });

  it('gives an event without a key its own id as the key', async () => {
    @IntegrationEvent({ name: 'test.keyless', topic: 'test' })
    class Keyless extends NotificationEvent {}
    await test.orm.em.fork().transactional(async () => outbox.append(Keyless.of()));
    const [row] = await test.orm.em
      .fork()
      .getConnection()
      .execute<{ message_id: string; message_key: string }[]>(
        'select message_id, message_key from cqrs_outbox',
      );
    expect(row?.message_key).toBe(row?.message_id);
  });

  it('has no row for a domain event', async () => {
    await test.orm.em.fork().transactional(async () => outbox.append(Local.of()));
    expect(await names()).toEqual([]);
  });

  it('copies no prototype out of parsed JSON', () => {
    const hostile = JSON.parse('{"key":"k","lines":[],"__proto__":{"isAdmin":true}}') as {
      key: string;
      lines: [];
    };
    const event = Valid.of(hostile);
    expect(event).toBeInstanceOf(Valid);
    expect((event as unknown as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });
});

describe('a direct emit', () => {
  it('publishes at once, without a transaction and without a row', async () => {
    const transport = new RecordingTransport();
    const test = await createTestApp({ database: 'libsql', options: { transport } });
    await test.app.get(EventEmitter).emit(OrderPaid.of({ orderId: 1, step: 1 }));
    expect(transport.published).toHaveLength(1);
    await test.close();
  });

  it('throws when the destination does not take it', async () => {
    const transport = new RecordingTransport();
    const test = await createTestApp({ database: 'libsql', options: { transport } });
    transport.beUnavailable();
    await expect(
      test.app.get(EventEmitter).emit(OrderPaid.of({ orderId: 1, step: 1 })),
    ).rejects.toMatchObject({
      code: 'PUBLISH_FAILED',
    });
    await test.close();
  });
});
