import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { IntegrationEvent, LeaseStore, NotificationEvent, OutboxStore } from '@cqrs-outbox/core';
import { StockAudited } from '../operations/events.ts';
import { WitnessTransport } from '../operations/witness-transport.ts';
import { eventually } from '../support/eventually.ts';
import { HintsFixture, moves, slotsOfMoves, type HintedApp } from './hints-fixture.ts';

/** As many as make a hint too long that names each. */
const MANY = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(64, 'ä'));

@IntegrationEvent({
  name: 'stock.copied',
  topic: 'stock',
  key: ({ item }: StockCopied) => item,
  destinations: MANY,
})
class StockCopied extends NotificationEvent {
  item!: string;
  step!: number;
}

const SLOTS = Array.from({ length: 16 }, (_, number) => 16 * 256 + number);

describe('hints of commits', () => {
  let fixture: HintsFixture;

  beforeEach(() => {
    fixture = new HintsFixture();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await fixture.close();
  });

  it('wake the relay of another process, without a tick', async () => {
    await fixture.startRelay();
    await fixture.listening(1);
    const writer = await fixture.startWriter();
    await writer.append(moves(3));
    await eventually(() => expect(fixture.arrived).toEqual([0, 1, 2]), 2_000);
  });

  it('are off unless asked for, and then others wait for their tick', async () => {
    await fixture.startRelay({ commitHints: false });
    const writer = await fixture.startWriter({ commitHints: undefined });
    await writer.append(moves(3));
    await delay(200);
    expect(fixture.arrived).toEqual([]);
    expect(fixture.bus.calls).toEqual([]);
    expect(fixture.waiting(writer)).toBe(3);
  });

  it('are not sent of what the own relay publishes', async () => {
    const app = await fixture.startRelay();
    await fixture.listening(1);
    for (const event of moves(20)) await app.append([event]);
    await eventually(() => expect(fixture.arrived).toHaveLength(20));
    expect(fixture.bus.announced).toEqual([]);
  });

  it('are sent of the slots that another process has, and only of those', async () => {
    const a = await fixture.startRelay();
    const b = await fixture.startRelay();
    await eventually(async () => expect(await sharesOf(a, b)).toEqual([8, 8]));
    const events = moves(100);
    await a.append(events);
    await eventually(() => expect(fixture.arrived).toHaveLength(100), 2_000);
    const theirs = await slotsOf(a, b);
    expect(fixture.bus.slotsAt('default')).toEqual(
      slotsOfMoves(events).filter((slot) => theirs.includes(slot)),
    );
  });

  it('are few, one after another, however many transactions commit at once', async () => {
    await fixture.startRelay();
    await fixture.listening(1);
    const writer = await fixture.startWriter();
    fixture.bus.onAnnounce = () => delay(1);
    const events = moves(100);
    await Promise.all(events.map((event) => writer.append([event])));
    await eventually(() => expect(fixture.arrived).toHaveLength(100), 2_000);
    expect(fixture.bus.mostInFlight).toBe(1);
    expect(fixture.bus.announced.length).toBeLessThanOrEqual(10);
    await eventually(() => expect(fixture.bus.slotsAt('default')).toEqual(slotsOfMoves(events)));
  });

  it('have a pause between them while commits go on', async () => {
    const writer = await fixture.startWriter();
    const times: number[] = [];
    fixture.bus.onAnnounce = () => void times.push(performance.now());
    for (let step = 0; step < 100; step++) {
      await writer.append(moves(1, String(step)));
      await delay(1);
    }
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(pauses.length).toBeGreaterThan(3);
    // Timers of Node end up to a millisecond early.
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(4);
  });

  it('name the destinations, so that no other is looked at', async () => {
    const audit = new WitnessTransport();
    const transport = { default: fixture.transport, audit };
    const relay = await fixture.startRelay({ transport });
    await fixture.listening(1);
    const writer = await fixture.startWriter({ transport });
    const fetches = jest.spyOn(relay.app.get(OutboxStore), 'fetch');
    await writer.append(moves(1));
    await eventually(() => expect(fixture.arrived).toEqual([0]));
    await delay(50);
    expect(new Set(fetches.mock.calls.map(([{ destination }]) => destination))).toEqual(new Set(['default']));
    await writer.append([StockAudited.of({ item: 'a', step: 7 })]);
    await eventually(() => expect(audit.stepsOf('a')).toEqual([7]), 2_000);
    expect(fixture.arrived).toEqual([0, 7]);
  });

  it('stay short with many destinations and slots, and reach them all', async () => {
    const transport = Object.fromEntries(MANY.map((name) => [name, new WitnessTransport()]));
    await fixture.startRelay({ transport, slots: 256 });
    await fixture.listening(1);
    const writer = await fixture.startWriter({ transport, slots: 256 });
    await writer.append(
      Array.from({ length: 20 }, (_, key) => StockCopied.of({ item: String(key), step: 0 })),
    );
    await eventually(() => {
      for (const name of MANY) expect(transport[name]?.arrivals).toHaveLength(20);
    });
    const lengths = fixture.bus.announced.map((text) => Buffer.byteLength(text));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(4_096);
  });

  it('have delayed entries published at their time', async () => {
    const relay = await fixture.startRelay();
    await fixture.listening(1);
    await eventually(() => expect(relay.relay.isFirst).toBe(true));
    const writer = await fixture.startWriter();
    const availableAt = new Date(Date.now() + 300);
    await writer.append(moves(1), { availableAt });
    await eventually(() => expect(fixture.arrived).toEqual([0]), 3_000);
    expect(fixture.transport.arrivals[0]?.at).toBeGreaterThanOrEqual(availableAt.getTime());
  });

  const foreign: Record<string, string> = {
    'an empty text': '',
    'a text that is no JSON': '{"slots":{"default":[4096',
    'a text that is too long': JSON.stringify({ all: true, padding: 'x'.repeat(4_096) }),
    'JSON of another kind': '[4096]',
    null: 'null',
    'slots that are no list': '{"slots":{"default":{"length":9}}}',
    'slots of another number of slots': '{"slots":{"default":[1280,1281]}}',
    'slots that are no slots': '{"slots":{"default":["4096",4096.5,-1,1e300,null]}}',
    'a destination that is not there': '{"slots":{"nowhere":[4096],"__proto__":[4096],"constructor":[4096]}}',
  };
  for (const [what, text] of Object.entries(foreign)) {
    it(`ignore ${what}`, async () => {
      const relay = await fixture.startRelay();
      await fixture.listening(1);
      await delay(50);
      const fetches = jest.spyOn(relay.app.get(OutboxStore), 'fetch');
      fixture.bus.send(text);
      await delay(50);
      expect(fetches).not.toHaveBeenCalled();
      fixture.bus.send(hint(SLOTS));
      await eventually(() => expect(fetches).toHaveBeenCalled());
    });
  }

  it('ignore what is no text', async () => {
    await fixture.startRelay();
    await fixture.listening(1);
    for (const given of [undefined, null, 7, {}, Buffer.from('{"all":true}')])
      expect(() => fixture.bus.send(given as string)).not.toThrow();
  });

  it('of slots that another process has are ignored without a question to the database', async () => {
    const a = await fixture.startRelay();
    const b = await fixture.startRelay();
    await eventually(async () => expect(await sharesOf(a, b)).toEqual([8, 8]));
    await fixture.listening(2);
    await delay(50);
    const theirs = await slotsOf(a, b);
    const fetches = jest.spyOn(a.app.get(OutboxStore), 'fetch');
    const wakes = jest.spyOn(a.relay, 'hear');
    for (let count = 0; count < 1_000; count++) fixture.bus.send(hint(theirs));
    await delay(50);
    expect(wakes).not.toHaveBeenCalled();
    expect(fetches).not.toHaveBeenCalled();
  });

  it('wake the relay a few times only when they come in a flood', async () => {
    const relay = await fixture.startRelay();
    await fixture.listening(1);
    await delay(50);
    const fetches = jest.spyOn(relay.app.get(OutboxStore), 'fetch');
    const wakes = jest.spyOn(relay.relay, 'hear');
    const startedAt = performance.now();
    for (let count = 0; count < 20_000; count++) {
      fixture.bus.send(hint(SLOTS));
      if (count % 1_000 === 0) await delay(1);
    }
    await delay(50);
    const most = (performance.now() - startedAt) / 4 + 1;
    expect(fetches.mock.calls.length).toBeGreaterThan(0);
    expect(fetches.mock.calls.length).toBeLessThanOrEqual(most);
    expect(wakes.mock.calls.length).toBeLessThanOrEqual(most);
  });

  const slotsOf = async (asker: HintedApp, { relay }: HintedApp): Promise<number[]> => {
    const { slots } = await asker.app.get(LeaseStore).read(16);
    return slots.filter(({ owner }) => owner === relay.instance).map(({ slot }) => slot);
  };
  const sharesOf = async (...apps: HintedApp[]): Promise<number[]> =>
    Promise.all(apps.map(async (app) => (await slotsOf(app, app)).length));
  const hint = (slots: readonly number[]): string => JSON.stringify({ slots: { default: slots } });
});
