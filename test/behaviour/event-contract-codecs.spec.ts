import { afterEach, describe, expect, it } from '@jest/globals';
import {
  arrayCodec,
  bigIntCodec,
  booleanCodec,
  classCodec,
  dateCodec,
  Encoded,
  IntegrationEvent,
  mapCodec,
  NotificationEvent,
  nullableCodec,
  numberCodec,
  setCodec,
  stringCodec,
  type Codec,
} from '@cqrs-outbox/core';
import { Type } from 'class-transformer';
import { IsInt, ValidateNested } from 'class-validator';
import { ContractApp } from '../support/contract-app.ts';

class Money {
  constructor(
    readonly cents: bigint,
    readonly currency: string,
  ) {}
}

/** One of a user's own. */
const moneyCodec: Codec<Money> = {
  encode: ({ cents, currency }) => `${cents} ${currency}`,
  decode: (value) => {
    const [, cents, currency] = /^(\d+) ([A-Z]{3})$/.exec(String(value)) ?? [];
    if (cents === undefined || currency === undefined) throw new TypeError('is no money');
    return new Money(BigInt(cents), currency);
  },
  jsonSchema: () => ({ type: 'string' }),
};

class Line {
  @IsInt() quantity!: number;
  @Encoded(moneyCodec) price!: Money;
  @Encoded(dateCodec) shipsAt?: Date;
}

@IntegrationEvent({ name: 'bills.sent', topic: 'bills' })
class BillSent extends NotificationEvent {
  @Encoded(bigIntCodec) total!: bigint;
  @Encoded(arrayCodec(bigIntCodec)) parts!: bigint[];
  @Encoded(dateCodec) at!: Date;
  @Encoded(nullableCodec(dateCodec)) paidAt!: Date | null;
  @Encoded(mapCodec(stringCodec, numberCodec)) taxes!: Map<string, number>;
  @Encoded(
    mapCodec(
      bigIntCodec,
      classCodec(() => Line),
    ),
  )
  linesById!: Map<bigint, Line>;
  @Encoded(setCodec(stringCodec)) tags!: Set<string>;
  @Encoded(mapCodec(stringCodec, booleanCodec)) flags?: Map<string, boolean>;
  @Type(() => Line) @ValidateNested({ each: true }) lines!: Line[];
}

const line = (): Line =>
  Object.assign(new Line(), { quantity: 2, price: new Money(199n, 'EUR'), shipsAt: new Date(0) });

const bill = (): BillSent =>
  BillSent.of({
    total: -(2n ** 80n),
    parts: [1n, 2n ** 64n],
    at: new Date('2026-01-02T03:04:05.678Z'),
    paidAt: null,
    taxes: new Map([
      ['__proto__', 1],
      ['constructor', 2],
      ['', 3],
    ]),
    linesById: new Map([[7n, line()]]),
    tags: new Set(['b', 'a', '__proto__']),
    lines: [line(), line()],
  });

let app: ContractApp;
afterEach(() => app.close());

describe('an event with codecs', () => {
  it('comes back as what it was: bigint, dates, maps, sets, nested classes and a codec of its own', async () => {
    app = await ContractApp.start([BillSent]);
    const received = await app.roundTrip(bill());
    expect(received).toStrictEqual(bill());
    expect(received.lines[1]).toBeInstanceOf(Line);
    expect(received.linesById.get(7n)?.price).toBeInstanceOf(Money);
    expect([...received.taxes.keys(), ...received.tags]).toEqual([
      ...['__proto__', 'constructor', ''],
      ...['b', 'a', '__proto__'],
    ]);
  });

  it('travels as JSON that others can read', async () => {
    app = await ContractApp.start([BillSent]);
    const lineJson = { quantity: 2, price: '199 EUR', shipsAt: '1970-01-01T00:00:00.000Z' };
    expect(JSON.parse(String(await app.append(bill())))).toEqual({
      total: '-1208925819614629174706176',
      parts: ['1', '18446744073709551616'],
      at: '2026-01-02T03:04:05.678Z',
      paidAt: null,
      taxes: [
        ['__proto__', 1],
        ['constructor', 2],
        ['', 3],
      ],
      linesById: [['7', lineJson]],
      tags: ['b', 'a', '__proto__'],
      lines: [lineJson, lineJson],
    });
  });

  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['a bigint that is a number', { total: 12 }, /^total is no decimal integer in a string/],
    ['a bigint with a fraction', { total: '1.5' }, /^total is no decimal/],
    ['a bigint in hexadecimal', { total: '0x10' }, /^total is no decimal/],
    ['an empty bigint', { total: '' }, /^total is no decimal/],
    ['a bigint with an end of line', { total: '1\n' }, /^total is no decimal/],
    ['a bigint that would take seconds to parse', { total: '9'.repeat(1_002) }, /^total is no decimal/],
    ['null where none may be', { total: null }, /^total is no decimal/],
    ['a list that is none', { parts: '12' }, /^parts is no list/],
    ['a date that is a number', { at: 0 }, /^at is no date and time/],
    ['a date without a time zone', { at: '2026-01-02T03:04:05' }, /^at is no date and time/],
    ['a date that is not in the calendar', { at: '2026-02-29T03:04:05Z' }, /^at is no date and time/],
    ['a date in month 13', { at: '2026-13-01T03:04:05Z' }, /^at is no date and time/],
    ['a date that is text', { paidAt: 'soon' }, /^paidAt is no date and time/],
    ['a map that is an object', { taxes: { a: 1 } }, /^taxes is no list/],
    ['a map of what is no pair', { taxes: [['a', 1, 2]] }, /^taxes has an entry that is no pair/],
    [
      'a map with a key twice',
      {
        taxes: [
          ['a', 1],
          ['a', 2],
        ],
      },
      /^taxes has a key twice/,
    ],
    ['a map with a wrong key', { taxes: [[1, 1]] }, /^taxes is no string/],
    ['a map with a wrong value', { taxes: [['a', '1']] }, /^taxes is no finite number/],
    [
      'a map with no object for an instance',
      { linesById: [['7', []]] },
      /^linesById has no object where a Line/,
    ],
    ['a map with a wrong instance', { linesById: [['7', { price: '1' }]] }, /^linesById price is no money/],
    ['a set with an item twice', { tags: ['a', 'a'] }, /^tags has an item twice/],
    ['a flag that is none', { flags: [['a', 1]] }, /^flags is no boolean/],
    ['a nested class with rubbish', { lines: [{ quantity: 1, price: 7 }] }, /^price is no money/],
  ];
  it.each(wrong)('is set aside for %s', async (_, changes, reason) => {
    app = await ContractApp.start([BillSent]);
    const payload = JSON.parse(String(await app.append(bill()))) as object;
    await app.receive({ name: 'bills.sent', payload });
    app.received.length = 0;
    await app.receive({ name: 'bills.sent', payload: { ...payload, ...changes } });
    expect([app.received, app.rejected().length]).toEqual([[], 1]);
    expect(app.rejected()[0]?.reason).toMatch(reason);
  });

  it.each([
    '2026-01-02T03:04:05Z',
    '2026-01-02T05:34:05.000+02:30',
    '2026-01-02T03:04:05.000000Z',
    '2024-02-29T00:00:00Z',
    '+012026-01-02T03:04:05.000Z',
  ])('reads the date %s', async (text) => {
    app = await ContractApp.start([]);
    expect(dateCodec.decode(text)).toEqual(new Date(text));
  });

  it.each<[string, Partial<BillSent>]>([
    ['an invalid date', { at: new Date(Number.NaN) }],
    ['a number that is none', { taxes: new Map([['a', Number.NaN]]) }],
    ['a bigint that is none', { total: 1 as never }],
  ])('is not appended with %s', async (_, changes) => {
    app = await ContractApp.start([BillSent]);
    const event = Object.assign(bill(), changes);
    await expect(app.append(event)).rejects.toMatchObject({ code: 'PAYLOAD_NOT_SERIALIZABLE' });
  });

  it('is a type error for a property of another type', async () => {
    app = await ContractApp.start([]);
    class Wrong {
      // @ts-expect-error -- the property is a number
      @Encoded(bigIntCodec) total!: number;
    }
    expect(new Wrong()).toBeDefined();
  });
});

it('tells what to do about a bigint without a codec', async () => {
  @IntegrationEvent({ name: 'bills.bare', topic: 'bills' })
  class Bare extends NotificationEvent {
    sums!: { net: bigint }[];
  }
  app = await ContractApp.start([Bare]);
  await expect(app.append(Bare.of({ sums: [{ net: 1n }] }))).rejects.toMatchObject({
    code: 'PAYLOAD_NOT_SERIALIZABLE',
    message: expect.stringMatching(/bills\.bare.+ net is a BigInt.+@Encoded\(bigIntCodec\)/),
  });
});

describe('names that every object has', () => {
  class Item {
    id!: number;
    data!: Record<string, unknown>;
  }

  @IntegrationEvent({ name: 'bills.noted', topic: 'bills' })
  class Noted extends NotificationEvent {
    id!: number;
    counts!: Record<string, number>;
    deep!: { inner: { list: Record<string, unknown>[] } };
    @Type(() => Item) item!: Item;
    @Encoded(
      mapCodec(
        stringCodec,
        classCodec(() => Item),
      ),
    )
    items!: Map<string, Item>;

    describe(): string {
      return `note ${this.id}`;
    }
  }

  const hostile =
    '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"prototype":{"polluted":true}';
  const record = `{"a":1,${hostile},"toString":2,"hasOwnProperty":3}`;
  const payload =
    `{"id":1,${hostile},"describe":"x","toString":"x","counts":{"__proto__":1,"constructor":2,"valueOf":3,"b":4},` +
    `"deep":{"inner":{"list":[${record},{"b":${record}}]}},"item":{"id":2,${hostile},"data":${record}},` +
    `"items":[["__proto__",{"id":3,${hostile},"data":${record}}]]}`;

  const parsed = (text: string) => JSON.parse(text) as Record<string, unknown>;
  const entriesOf = (value: unknown) => Object.entries(value as object);

  it('pollute nothing, at any depth, and stay data of the records that they are in', async () => {
    app = await ContractApp.start([Noted]);
    await app.receive({ name: 'bills.noted', payload });
    const event = app.only(Noted);
    const prototypes = [event, event.item, event.items.get('__proto__')!].map(
      (instance) => Object.getPrototypeOf(instance) as unknown,
    );
    expect(prototypes).toEqual([Noted.prototype, Item.prototype, Item.prototype]);
    expect([event.id, event.describe(), event.constructor]).toEqual([1, 'note 1', Noted]);
    expect(Object.keys(event.item).sort()).toEqual(['data', 'id', 'prototype']);

    const records = [
      event.deep.inner.list[0],
      event.deep.inner.list[1]?.['b'],
      event.item.data,
      event.items.get('__proto__')?.data,
    ];
    for (const found of records) {
      expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
      expect(new Map(entriesOf(found))).toEqual(new Map(entriesOf(parsed(record))));
    }
    expect(new Map(entriesOf(event.counts))).toEqual(
      new Map([
        ['__proto__', 1],
        ['constructor', 2],
        ['valueOf', 3],
        ['b', 4],
      ]),
    );
    expect(({} as { polluted?: true }).polluted).toBeUndefined();
    expect((event as { polluted?: true }).polluted).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each(['constructor', '__proto__'])('are not lost without a word when appended: %s', async (name) => {
    app = await ContractApp.start([Noted]);
    const note = Noted.of({
      id: 1,
      counts: {},
      deep: { inner: { list: [parsed(`{"${name}":1}`)] } },
      item: new Item(),
      items: new Map(),
    });
    await expect(app.append(note)).rejects.toMatchObject({
      code: 'PAYLOAD_NOT_SERIALIZABLE',
      message: expect.stringContaining(`a record has the key ${name}`),
    });
    await app.append(Object.assign(note, { deep: { inner: { list: [{ prototype: 1, toString: 2 }] } } }));
  });
});
