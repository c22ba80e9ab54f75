import { afterEach, describe, expect, it } from '@jest/globals';
import {
  bigIntCodec,
  Encoded,
  EventValidationError,
  IntegrationEvent,
  NotificationEvent,
} from '@cqrs-outbox/core';
import { type } from 'arktype';
import { Max } from 'class-validator';
import * as v from 'valibot';
import { z } from 'zod';
import { ContractApp } from '../support/contract-app.ts';

@IntegrationEvent({
  name: 'seats.taken',
  version: 2,
  topic: 'seats',
  upcasters: { 1: ({ seat, ...rest }) => ({ ...rest, seats: [seat] }) },
  schema: z.object({
    at: z.coerce.date(),
    seats: z.array(z.object({ row: z.number().int() })),
    price: z.string().transform(BigInt),
    note: z.string().default('none'),
  }),
})
class WithZod extends NotificationEvent {
  at!: Date;
  seats!: { row: number }[];
  @Encoded(bigIntCodec) price!: bigint;
  note!: string;
}

@IntegrationEvent({
  name: 'seats.valibot',
  topic: 'seats',
  schema: v.object({
    at: v.pipe(v.string(), v.isoTimestamp(), v.toDate()),
    seats: v.array(v.object({ row: v.number() })),
  }),
})
class WithValibot extends NotificationEvent {
  at!: Date;
  seats!: { row: number }[];
}

@IntegrationEvent({
  name: 'seats.arktype',
  topic: 'seats',
  schema: type({ at: 'string.date.iso.parse', seats: type({ row: 'number.integer' }).array() }),
})
class WithArkType extends NotificationEvent {
  at!: Date;
  seats!: { row: number }[];
}

const at = new Date('2026-01-02T03:04:05.678Z');

let app: ContractApp;
afterEach(() => app.close());

describe.each([
  ['Valibot', 'seats.valibot', WithValibot],
  ['ArkType', 'seats.arktype', WithArkType],
])('a schema of %s', (_, name, eventClass) => {
  it("brings an event there and back, made of the schema's output", async () => {
    app = await ContractApp.start([eventClass]);
    const event = eventClass.of({ at, seats: [{ row: 1 }] });
    expect(await app.roundTrip<WithValibot | WithArkType>(event)).toEqual(event);
  });

  it('refuses an append with the path and the message of each issue', async () => {
    app = await ContractApp.start([eventClass]);
    const event = eventClass.of({ at, seats: [{ row: 1 }, { row: 'x' as never }] });
    const refused = await app.append(event).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EventValidationError);
    expect((refused as EventValidationError).violations).toEqual([
      { property: 'seats[1].row', rules: { schema: expect.stringMatching(/number/) } },
    ]);
  });

  it('sets aside what breaks it on receipt', async () => {
    app = await ContractApp.start([eventClass]);
    await app.receive({ name, payload: { at: 'yesterday', seats: [] } });
    expect(app.received).toEqual([]);
    expect(app.rejected()[0]?.reason).toMatch(new RegExp(`^${name} is invalid: at \\(schema: .+\\)`));
  });
});

describe('a schema of Zod', () => {
  it('brings an event there and back, with its coercions and transforms', async () => {
    app = await ContractApp.start([WithZod]);
    const sent = WithZod.of({ at, seats: [{ row: 3 }], price: 2n ** 70n, note: 'hi' });
    const received = await app.roundTrip(sent);
    expect(received).toEqual(sent);
    expect([received.at, received.price]).toEqual([at, 2n ** 70n]);
  });

  it('gets the payload after the upcasters, and gives its defaults', async () => {
    app = await ContractApp.start([WithZod]);
    await app.receive({
      name: 'seats.taken',
      version: 1,
      payload: { at: at.toISOString(), seat: { row: 9 }, price: '7' },
    });
    expect(app.only(WithZod)).toMatchObject({ at, seats: [{ row: 9 }], price: 7n, note: 'none' });
  });

  it('is asked for the payload as it travels: what the consumer would refuse is not appended', async () => {
    app = await ContractApp.start([WithZod]);
    const event = WithZod.of({ at, seats: [{ row: 1.5 }], price: 1n, note: '' });
    await expect(app.append(event)).rejects.toMatchObject({
      code: 'EVENT_VALIDATION',
      violations: [{ property: 'seats[0].row' }],
    });
  });

  it('names 20 issues at most', async () => {
    app = await ContractApp.start([WithZod]);
    const seats = Array.from({ length: 50 }, () => ({ row: 'x' }));
    const refused = await app
      .append(WithZod.of({ at, seats, price: 1n, note: '' } as never))
      .catch((error: unknown) => error);
    expect((refused as EventValidationError).violations).toHaveLength(20);
  });

  it('does not overwrite what the class itself has, whatever its output holds', async () => {
    @IntegrationEvent({ name: 'seats.loose', topic: 'seats', schema: z.looseObject({ row: z.number() }) })
    class Loose extends NotificationEvent {
      row!: number;

      describe(): string {
        return `row ${this.row}`;
      }
    }
    app = await ContractApp.start([Loose]);
    const payload =
      '{"row":1,"extra":2,"describe":3,"constructor":{"name":"x"},"__proto__":{"polluted":true},"toString":4}';
    await app.receive({ name: 'seats.loose', payload });
    const received = app.only(Loose);
    expect(Object.entries(received)).toEqual([
      ['row', 1],
      ['extra', 2],
    ]);
    expect([received.constructor, received.describe(), (received as { polluted?: true }).polluted]).toEqual([
      Loose,
      'row 1',
      undefined,
    ]);
    expect(({} as { polluted?: true }).polluted).toBeUndefined();
  });
});

describe('a schema that can not be used', () => {
  const standard = (validate: (value: unknown) => unknown) =>
    ({ '~standard': { version: 1, vendor: 'tests', validate } }) as never;

  it.each<[string, () => unknown, RegExp]>([
    ['waits', async () => ({ value: {} }), /the payload \(schema: it answers with a promise/],
    ['waits in vain', () => Promise.reject(new Error('later')), /it answers with a promise/],
    [
      'throws',
      () => {
        throw new Error('broken');
      },
      /it failed: broken/,
    ],
    ['has text as its output', () => ({ value: 'x' }), /its output is no object/],
    ['has a list as its output', () => ({ value: [] }), /its output is no object/],
  ])('refuses the event on both sides: it %s', async (_, validate, message) => {
    @IntegrationEvent({ name: 'seats.odd', topic: 'seats', schema: standard(validate) })
    class Odd extends NotificationEvent {}
    app = await ContractApp.start([Odd]);
    await expect(app.append(Odd.of())).rejects.toMatchObject({
      code: 'EVENT_VALIDATION',
      message: expect.stringMatching(message),
    });
    await app.receive({ name: 'seats.odd', payload: {} });
    expect(app.rejected()[0]?.reason).toMatch(message);
  });

  it('is refused when the class is defined', async () => {
    app = await ContractApp.start([]);
    for (const schema of [{}, null, 'x', { '~standard': { version: 2, validate: () => ({ value: {} }) } }]) {
      expect(() => {
        class Wrong extends NotificationEvent {}
        IntegrationEvent({ name: 'a.b', topic: 'a', schema: schema as never })(Wrong);
      }).toThrow(/schema must be a schema of https:\/\/standardschema\.dev/);
    }
  });

  it('is a type error for a class that its output does not fit', async () => {
    app = await ContractApp.start([]);
    const schema = z.object({ row: z.string() });
    // @ts-expect-error -- the schema's row is a string
    @IntegrationEvent({ name: 'a.b', topic: 'a', schema })
    class Wrong extends NotificationEvent {
      row!: number;
    }
    // @ts-expect-error -- the schema has no column
    @IntegrationEvent({ name: 'a.c', topic: 'a', schema, key: (event: Short) => event.row })
    class Short extends NotificationEvent {
      row!: string;
      column!: string;
    }
    @IntegrationEvent({ name: 'a.d', topic: 'a', schema, key: (event: Right) => event.row })
    class Right extends NotificationEvent {
      row!: string;
      column?: string;
    }
    expect([Wrong, Short, Right]).toHaveLength(3);
  });
});

it('applies the rules of class-validator beside the schema', async () => {
  @IntegrationEvent({ name: 'seats.both', topic: 'seats', schema: z.object({ row: z.coerce.number() }) })
  class Both extends NotificationEvent {
    @Max(5) row!: number;
  }
  app = await ContractApp.start([Both]);
  await expect(app.append(Both.of({ row: 6 }))).rejects.toThrow(/row \(max/);
  await app.receive({ name: 'seats.both', payload: { row: '6' } });
  await app.receive({ name: 'seats.both', payload: { row: '5' } });
  expect(app.rejected().map(({ reason }) => reason)).toEqual([expect.stringMatching(/row \(max/)]);
  expect(app.only(Both).row).toBe(5);
});
