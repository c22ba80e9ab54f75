import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  OUTBOX_CHANNELS,
  type BatchDiagnostic,
  type CqrsOutboxOptions,
  type FailureDiagnostic,
  type LeaseDiagnostic,
  type RefusalDiagnostic,
} from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { DOWN, REFUSED } from '../support/scripted-transport.ts';
import { StockAudited, StockMoved } from './events.ts';
import { outboxFixtures, QUICK, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));

/** Node's own process, in whose world a timer function was made: Jest gives tests a copy, on which nothing is raised. */
function realProcess(): NodeJS.Process {
  const evaluate = setImmediate.constructor as (code: string) => () => NodeJS.Process;
  return evaluate('return process')();
}

type ChannelName = keyof typeof OUTBOX_CHANNELS;
type Told = { channel: ChannelName } & Partial<
  BatchDiagnostic & FailureDiagnostic & RefusalDiagnostic & LeaseDiagnostic
>;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `diagnostics on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let told: Told[];
    let subscriptions: [ChannelName, (message: unknown) => void][];

    const listen = (channel: ChannelName, listener: (message: unknown) => void): void => {
      subscribe(`cqrs-outbox:${channel.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, listener);
      subscriptions.push([channel, listener]);
    };
    const of = (...channels: ChannelName[]): Told[] =>
      told.filter(({ channel }) => channels.includes(channel));
    const run = async (options: Partial<CqrsOutboxOptions> = {}): Promise<Instance> => {
      const instance = await fixture.start({ relay: QUICK, ...options });
      await eventually(() => expect(instance.relay.instance).toBeDefined());
      return instance;
    };
    const runAlone = async (options: Partial<CqrsOutboxOptions> = {}): Promise<Instance> => {
      const instance = await run(options);
      await eventually(() => expect(instance.relay.isFirst).toBe(true));
      return instance;
    };

    beforeEach(async () => {
      told = [];
      subscriptions = [];
      fixture = await openFixture();
      for (const channel of Object.keys(OUTBOX_CHANNELS) as ChannelName[]) {
        listen(channel, (message) => void told.push({ channel, ...(message as object) }));
      }
    });
    afterEach(async () => {
      await fixture.close();
      for (const [channel, listener] of subscriptions) {
        unsubscribe(
          `cqrs-outbox:${channel.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
          listener,
        );
      }
    });

    it('tell of a batch before it is given to the transport, and when it was acknowledged', async () => {
      const running = await runAlone();
      const published: number[] = [];
      fixture.transport.onBatch = async () => {
        published.push(of('publishing').length, of('published').length);
      };
      await running.append(moved('a', 1, 2));
      await eventually(() => expect(of('published')).toHaveLength(1));
      expect(published).toEqual([1, 0]);
      const who = { source: 'tests', instance: running.relay.instance, destination: 'default' };
      const ids = fixture.transport.idsOf('a');
      for (const message of of('publishing', 'published')) {
        expect(message).toMatchObject(who);
        expect(message.entries?.map(({ id }) => id)).toEqual(ids);
        expect(message.entries?.[0]).toMatchObject({ key: 'a', name: 'stock.moved', attempts: 0 });
      }
    });

    it('tell of what was acknowledged alone', async () => {
      fixture.transport.decide = (key) => (key === 'a' ? { status: 'published' } : REFUSED);
      await fixture.first.append([...moved('a', 1), ...moved('b', 1)]);
      await fixture.first.relay.runOnce();
      expect(of('publishing').flatMap(({ entries = [] }) => entries.map(({ key }) => key))).toEqual([
        'a',
        'b',
      ]);
      expect(of('published').flatMap(({ entries = [] }) => entries.map(({ key }) => key))).toEqual(['a']);
    });

    it('tell of each refusal: parked until the last attempt, which makes a dead letter', async () => {
      const running = await runAlone();
      fixture.transport.decide = () => REFUSED;
      await running.append(moved('a', 1));
      await eventually(() => expect(of('deadLettered')).toHaveLength(1));
      const refusals = of('parked', 'deadLettered');
      expect(refusals.map(({ channel, attempts }) => [channel, attempts])).toEqual([
        ['parked', 1],
        ['parked', 2],
        ['deadLettered', 3],
      ]);
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({
          source: 'tests',
          instance: running.relay.instance,
          destination: 'default',
          error: { message: 'too hot' },
          entry: { key: 'a', name: 'stock.moved' },
        });
      }
      expect(of('failed', 'published')).toEqual([]);
    });

    it('tell that a destination failed, with the error, and of no attempt', async () => {
      const running = await runAlone();
      fixture.audit.decide = () => DOWN;
      await running.append([StockAudited.of({ item: 'a', step: 1 })]);
      await eventually(() => expect(of('failed').length).toBeGreaterThan(1));
      for (const failure of of('failed')) {
        expect(failure).toEqual({
          channel: 'failed',
          source: 'tests',
          instance: running.relay.instance,
          destination: 'audit',
          error: DOWN.error,
        });
      }
      expect(of('parked', 'deadLettered')).toEqual([]);
    });

    it('tell of leases that were gained and lost, so that each slot is accounted for', async () => {
      const held = new Map<string, Set<number>>();
      for (const [channel, change] of [
        ['leaseGained', 'add'],
        ['leaseLost', 'delete'],
      ] as const) {
        listen(channel, (message) => {
          const { instance = 'none', slots } = message as LeaseDiagnostic;
          const own = held.get(instance) ?? new Set();
          for (const slot of slots) own[change](slot);
          held.set(instance, own);
        });
      }
      const one = await runAlone({ relay: { ...QUICK, leaseMs: 1_000 }, slots: 4 });
      const [first] = [one.relay.instance ?? ''];
      await eventually(() => expect(held.get(first)?.size).toBe(4));
      const two = await run({ relay: { ...QUICK, leaseMs: 1_000 }, slots: 4 });
      const second = two.relay.instance ?? '';
      await eventually(() => expect([held.get(first)?.size, held.get(second)?.size]).toEqual([2, 2]));
      expect([...(held.get(first) ?? []), ...(held.get(second) ?? [])].toSorted()).toEqual(
        [0, 1, 2, 3].map((slot) => 4 * 256 + slot),
      );
      await fixture.stop(one);
      expect(held.get(first)?.size).toBe(0);
      await eventually(() => expect(held.get(second)?.size).toBe(4));
      expect([...held.keys()].toSorted()).toEqual([first, second].toSorted());
    });

    it('tell two applications of one process apart', async () => {
      const relay = { ...QUICK, leaseMs: 1_000, cron: '* * * * * *' };
      const [one, two] = [await run({ relay, source: 'one' }), await run({ relay, source: 'two' })];
      const instances = new Map([
        ['one', one.relay.instance],
        ['two', two.relay.instance],
      ]);
      let step = 0;
      await eventually(async () => {
        step++;
        await one.append(Array.from({ length: 16 }, (_, index) => moved(`k${index}`, step)).flat());
        await eventually(() => expect(fixture.transport.arrivals).toHaveLength(16 * step), 4_000);
        expect(new Set(of('published').map(({ source }) => source))).toEqual(new Set(['one', 'two']));
      });
      for (const { source = '', instance } of told) expect(instance).toBe(instances.get(source));
      // Each entry was published by one of them.
      const ids = of('published').flatMap(({ entries = [] }) => entries.map(({ id }) => id));
      expect(new Set(ids).size).toBe(ids.length);
    });

    it('do the relay no harm when a subscriber throws: Node raises it as an uncaught exception', async () => {
      const real = realProcess();
      const others = real.listeners('uncaughtException');
      const raised: unknown[] = [];
      real.removeAllListeners('uncaughtException');
      real.on('uncaughtException', (error) => raised.push(error));
      try {
        const fault = new Error('my dashboard is broken');
        for (const channel of Object.keys(OUTBOX_CHANNELS) as ChannelName[]) {
          listen(channel, () => {
            throw fault;
          });
        }
        const running = await runAlone();
        fixture.transport.decide = (key, step) =>
          key === 'bad' ? REFUSED : step === 1 && raised.length < 10 ? DOWN : { status: 'published' };
        await running.append([...moved('bad', 1), ...moved('a', 1, 2, 3)]);
        await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([1, 2, 3]));
        await eventually(() => expect(of('deadLettered')).toHaveLength(1));
        await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
        await fixture.stop(running);
        expect(new Set(told.map(({ channel }) => channel))).toEqual(new Set(Object.keys(OUTBOX_CHANNELS)));
        await eventually(() => expect(raised).toHaveLength(told.length));
        expect(new Set(raised)).toEqual(new Set([fault]));
      } finally {
        real.removeAllListeners('uncaughtException');
        for (const listener of others) real.on('uncaughtException', listener);
      }
    });

    it('name the instance also when somebody relays by hand', async () => {
      await fixture.first.append(moved('a', 1));
      await fixture.first.relay.runOnce();
      const [batch] = of('published');
      expect(batch?.instance).toMatch(/^[0-9a-f-]{36}$/);
      expect(of('leaseGained').flatMap(({ slots = [] }) => slots)).toHaveLength(16);
      expect(of('leaseLost').flatMap(({ slots = [] }) => slots)).toHaveLength(16);
    });
  });
}
