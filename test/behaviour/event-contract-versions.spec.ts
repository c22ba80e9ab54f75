import { afterEach, describe, expect, it } from '@jest/globals';
import {
  ECSTEvent,
  IntegrationEvent,
  NotificationEvent,
  type MessageContext,
  type Upcaster,
} from '@cqrs-outbox/core';
import { IsInt, IsString } from 'class-validator';
import { ContractApp } from '../support/contract-app.ts';

/** Version 1 had `name`, version 2 `title`, version 3 has a number of seats beside it. */
@IntegrationEvent({
  name: 'rooms.opened',
  version: 3,
  topic: 'rooms',
  upcasters: {
    1: ({ name, ...rest }) => ({ ...rest, title: name }),
    2: (payload, { key }) => ({ ...payload, seats: key === 'k' ? 10 : 0 }),
  },
})
class RoomOpened extends ECSTEvent {
  @IsString() title!: string;
  @IsInt() seats!: number;
}

const upcasting: { answer: () => unknown; context?: MessageContext } = { answer: () => ({}) };

@IntegrationEvent({
  name: 'rooms.fragile',
  version: 4,
  topic: 'rooms',
  upcasters: {
    2: (payload) => payload,
    3: (_, context) => {
      upcasting.context = context;
      return upcasting.answer() as object;
    },
  },
})
class Fragile extends NotificationEvent {}

let app: ContractApp;
afterEach(() => app.close());

const reasons = () => app.rejected().map(({ reason }) => reason);

describe('an event of an older version', () => {
  it.each([
    [1, { name: 'Red' }, { title: 'Red', seats: 10 }],
    [2, { title: 'Blue' }, { title: 'Blue', seats: 10 }],
    [3, { title: 'Green', seats: 4 }, { title: 'Green', seats: 4 }],
  ])('comes as an instance of the class, from version %i', async (version, payload, expected) => {
    app = await ContractApp.start([RoomOpened]);
    await app.receive({ name: 'rooms.opened', version, payload });
    expect(Object.fromEntries(Object.entries(app.only(RoomOpened)))).toEqual(expected);
  });

  it('has the version that was received in its context, for the handler as for the upcaster', async () => {
    app = await ContractApp.start([RoomOpened, Fragile]);
    await app.receive({ name: 'rooms.opened', version: 1, payload: { name: 'Red' } });
    expect(app.received[0]?.context.version).toBe(1);
    await app.receive({ name: 'rooms.fragile', version: 3, payload: {} });
    expect(upcasting.context).toMatchObject({ version: 3, name: 'rooms.fragile', topic: 'tests' });
  });

  it('is validated after the upcasters', async () => {
    app = await ContractApp.start([RoomOpened]);
    await app.receive({ name: 'rooms.opened', version: 1, payload: { name: 7 } });
    expect(reasons()).toEqual([expect.stringMatching(/rooms\.opened is invalid: title \(isString/)]);
  });

  it('is set aside when it is older than the first upcaster', async () => {
    app = await ContractApp.start([Fragile]);
    await app.receive({ name: 'rooms.fragile', version: 1, payload: {} });
    expect(reasons()).toEqual([
      'version 1 of rooms.fragile is unknown, the class here has 4 and no upcaster from 1',
    ]);
  });

  const step = 'the upcaster of rooms.fragile from version 3 to 4';
  it.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no such room');
      },
      `${step} failed: no such room`,
    ],
    ['answers with undefined', () => undefined, `${step} answered with undefined`],
    ['answers with null', () => null, `${step} answered with null`],
    ['answers with text', () => 'x', `${step} answered with a string`],
    ['answers with an array', () => [{}], `${step} answered with an array`],
    ['answers with a date', () => new Date(), `${step} answered with no plain object`],
    ['is asynchronous', async () => ({}), `${step} answered with a promise, which is not waited for`],
    [
      'is asynchronous and fails',
      () => Promise.reject(new Error('later')),
      `${step} answered with a promise, which is not waited for`,
    ],
  ])('is set aside when an upcaster %s', async (_, answer, reason) => {
    app = await ContractApp.start([Fragile]);
    upcasting.answer = answer;
    await app.receive({ name: 'rooms.fragile', version: 2, payload: {} });
    expect(app.received).toEqual([]);
    expect(reasons()).toEqual([reason]);
  });

  it.each([1, 3, 9])('needs no upcaster as a tombstone, of version %i', async (version) => {
    app = await ContractApp.start([RoomOpened]);
    await app.receive({ name: 'rooms.opened', version, payload: null });
    expect(app.received).toEqual([{ event: null, context: expect.objectContaining({ version }) }]);
  });
});

describe('an event of a newer version', () => {
  const newer = { name: 'rooms.opened', version: 4, payload: { title: 'Red', seats: 1, floor: 2 } };

  it('is set aside by default', async () => {
    app = await ContractApp.start([RoomOpened]);
    await app.receive(newer);
    expect(reasons()).toEqual(['version 4 of rooms.opened is unknown, the class here has 3']);
  });

  it('is read as the version of the class where the application accepts it, and must be valid', async () => {
    app = await ContractApp.start([RoomOpened], { consumer: { newerVersion: 'accept' } });
    await app.receive(newer);
    expect(app.only(RoomOpened)).toMatchObject({ title: 'Red', seats: 1 });
    expect(app.received[0]?.context.version).toBe(4);
    await app.receive({ ...newer, payload: { title: 'Red' } });
    expect(reasons()).toEqual([expect.stringMatching(/seats \(isInt/)]);
  });

  it('is acknowledged and not handled where the application ignores it', async () => {
    app = await ContractApp.start([RoomOpened], { consumer: { newerVersion: 'ignore' } });
    await app.receive(newer);
    expect([app.received, app.rejected()]).toEqual([[], []]);
  });

  it('has a policy of its own, which goes before that of the application', async () => {
    @IntegrationEvent({ name: 'rooms.tolerant', topic: 'rooms', newerVersion: 'accept' })
    class Tolerant extends NotificationEvent {}
    app = await ContractApp.start([RoomOpened, Tolerant]);
    await app.receive({ ...newer, name: 'rooms.tolerant' });
    await app.receive(newer);
    expect([app.received.length, app.rejected().length]).toEqual([1, 1]);
  });
});

it.each(['0', '-1', '1.5', 'x', '', ' 2', '0x2', '1e0', 'NaN', '9'.repeat(40)])(
  'sets aside a message whose version is %j, which is no positive integer',
  async (version) => {
    app = await ContractApp.start([RoomOpened], { consumer: { newerVersion: 'accept' } });
    await app.receive({ name: 'rooms.opened', version, payload: { title: 'Red', seats: 1 } });
    await app.receive({ name: 'rooms.opened', version, payload: null });
    expect(reasons()).toEqual(Array(2).fill('ce_eventversion is no positive integer'));
  },
);

it('takes a message without a version for version 1', async () => {
  app = await ContractApp.start([RoomOpened]);
  await app.receive({ name: 'rooms.opened', payload: { name: 'Red' } });
  expect(app.only(RoomOpened)).toMatchObject({ title: 'Red' });
});

describe('upcasters that can not be', () => {
  const same: Upcaster = (payload) => payload;
  const given: [string, number, unknown, RegExp][] = [
    ['of the current version', 2, { 1: same, 2: same }, /upcasters has 2, but the versions before 2/],
    ['of version 0', 2, { 0: same, 1: same }, /upcasters has 0/],
    ['of a name', 2, { one: same }, /upcasters has one/],
    ['of a fraction', 3, { 1.5: same, 2: same }, /upcasters has 1\.5/],
    ['with a gap', 4, { 1: same, 3: same }, /none from 2 to 3/],
    ['that do not reach the current version', 3, { 1: same }, /none from 2 to 3/],
    ['that are no functions', 2, { 1: 'x' }, /upcasters\[1\] must be a function/],
    ['that are no object', 2, 'x', /must be an object/],
  ];
  it.each(given)('are refused when the class is defined: %s', async (_, version, upcasters, message) => {
    app = await ContractApp.start([]);
    const define = (): void => {
      class Wrong extends NotificationEvent {}
      IntegrationEvent({ name: 'a.b', topic: 'a', version, upcasters: upcasters as never })(Wrong);
    };
    expect(define).toThrow(expect.objectContaining({ code: 'INVALID_EVENT_DECLARATION' }));
    expect(define).toThrow(message);
  });

  it('and policies that are none are refused, on the event and at boot', async () => {
    app = await ContractApp.start([]);
    const define = (): void => {
      class Wrong extends NotificationEvent {}
      IntegrationEvent({ name: 'a.b', topic: 'a', newerVersion: 'skip' as never })(Wrong);
    };
    expect(define).toThrow(/newerVersion must be/);
    const consumer = { newerVersion: 'skip' as never };
    await expect(ContractApp.start([], { consumer })).rejects.toThrow(/consumer\.newerVersion must be/);
  });
});
