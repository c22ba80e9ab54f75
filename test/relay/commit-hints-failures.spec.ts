import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { eventually } from '../support/eventually.ts';
import { HintsFixture, moves } from './hints-fixture.ts';

/** For an application whose modules are scanned: Nest draws the ids of its providers by the same function, and needs different ones. */
const longestWaits = (): void => void jest.spyOn(Math, 'random').mockReturnValue(0.999);

describe('hints of commits that fail', () => {
  let fixture: HintsFixture;
  let warnings: string[];

  beforeEach(() => {
    fixture = new HintsFixture();
    warnings = [];
    jest
      .spyOn(Logger.prototype, 'warn')
      .mockImplementation((text: unknown) => void warnings.push(String(text)));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await fixture.close();
  });

  it('keep no command waiting while one hangs, and are sent one at a time all the same', async () => {
    let release: () => void = () => undefined;
    fixture.bus.onAnnounce = () => new Promise((resolve) => (release = resolve));
    const writer = await fixture.startWriter();
    const startedAt = performance.now();
    for (const event of moves(20)) await writer.append([event]);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await delay(50);
    expect(fixture.bus.announced).toHaveLength(1);
    fixture.bus.onAnnounce = () => undefined;
    release();
    await eventually(() => expect(fixture.bus.announced).toHaveLength(2));
  });

  it.each([
    [
      'throws at once',
      () => {
        throw new Error('no way');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no way'))],
    ['rejects with nothing', () => Promise.reject(undefined as unknown as Error)],
  ])('fail no command when it %s, are one warning, and go on', async (_, fail) => {
    await fixture.startRelay();
    await fixture.listening(1);
    const writer = await fixture.startWriter();
    fixture.bus.onAnnounce = fail;
    for (const event of moves(10)) {
      await expect(writer.append([event])).resolves.toBeUndefined();
      await delay(20);
    }
    expect(fixture.bus.announced.length).toBeGreaterThanOrEqual(1);
    expect(warnings.filter((text) => /hint could not be sent.*(no way|undefined)/.test(text))).toHaveLength(
      1,
    );
    fixture.bus.onAnnounce = () => undefined;
    await eventually(async () => {
      await writer.append(moves(1, 'later'));
      expect(fixture.transport.stepsOf('later-0')).not.toEqual([]);
    });
  });

  it('wait longer and longer after failures', async () => {
    const writer = await fixture.startWriter({}, [{ provide: 'waits', useFactory: longestWaits }]);
    fixture.bus.onAnnounce = () => Promise.reject(new Error('no way'));
    for (let count = 0; count < 60; count++) {
      await writer.append(moves(1));
      await delay(10);
    }
    // At 0, 100, 300 and 700 ms, and not each 5 ms.
    expect(fixture.bus.announced.length).toBeGreaterThanOrEqual(2);
    expect(fixture.bus.announced.length).toBeLessThanOrEqual(5);
  });

  it('have nothing of the transaction and the request whose commit they tell of', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const writer = await fixture.startWriter();
    fixture.bus.onAnnounce = () => void seen.push(storage.getStore());
    await storage.run('a request', () => writer.append(moves(1)));
    await eventually(() => expect(seen).toEqual([undefined]));
  });

  it('are listened for again when the listening is lost, and what was missed is looked for', async () => {
    await fixture.startRelay();
    await fixture.listening(1);
    const writer = await fixture.startWriter();
    fixture.bus.onListen = () => Promise.reject(new Error('not yet'));
    fixture.bus.lose(new Error('cut off'));
    await fixture.listening(0);
    await writer.append(moves(3));
    await delay(100);
    expect(fixture.arrived).toEqual([]);
    fixture.bus.onListen = () => undefined;
    await eventually(() => expect(fixture.arrived).toEqual([0, 1, 2]), 6_000);
    expect(warnings.filter((text) => /No hints are heard.*cut off/.test(text))).toHaveLength(1);
    await writer.append(moves(1, 'later'));
    await eventually(() => expect(fixture.transport.stepsOf('later-0')).toEqual([0]), 2_000);
    expect(fixture.bus.calls.filter((call) => call === 'stop')).toHaveLength(1);
  });

  it('are tried to be listened for with longer and longer waits', async () => {
    fixture.bus.onListen = () => {
      throw new Error('never');
    };
    await fixture.startRelay({ onStartup: [longestWaits] });
    await delay(600);
    const tries = fixture.bus.calls.filter((call) => call === 'listen').length;
    expect(tries).toBeGreaterThanOrEqual(2);
    expect(tries).toBeLessThanOrEqual(4);
  });

  it('are tried no more often when they are lost before they are heard', async () => {
    fixture.bus.onListen = (onLost) => onLost(new Error('lost'));
    await fixture.startRelay({ onStartup: [longestWaits] });
    await delay(600);
    const tries = fixture.bus.calls.filter((call) => call === 'listen').length;
    expect(tries).toBeGreaterThanOrEqual(2);
    expect(tries).toBeLessThanOrEqual(4);
  });

  it('are tried no more often when the loss is told of again and again', async () => {
    await fixture.startRelay({ onStartup: [longestWaits] });
    await fixture.listening(1);
    const [onLost] = fixture.bus.listeners.values();
    const repeating = setInterval(() => onLost?.(new Error('lost')), 5);
    await delay(600);
    clearInterval(repeating);
    const tries = fixture.bus.calls.filter((call) => call === 'listen').length;
    expect(tries).toBe(2);
  });

  it('stop to be listened for in onModuleDestroy, and are sent until all is over', async () => {
    const relay = await fixture.startRelay();
    await fixture.listening(1);
    const writer = await fixture.startWriter();
    const late = moves(1, 'late');
    // As a request that is still at work does, when the relay has stopped.
    writer.app.getHttpAdapter().close = async () => writer.append(late);
    await fixture.stop(writer);
    await eventually(() => expect(fixture.transport.stepsOf('late-0')).toEqual([0]), 2_000);
    await fixture.stop(relay);
    expect(fixture.bus.calls).toEqual(['listen', 'close', 'stop', 'close']);
  });

  it('hold up no shutdown when nothing of it answers', async () => {
    const never = (): Promise<void> => new Promise(() => undefined);
    fixture.bus.onListen = never;
    fixture.bus.onAnnounce = never;
    const relay = await fixture.startRelay();
    const writer = await fixture.startWriter();
    await writer.append(moves(1));
    const startedAt = performance.now();
    await Promise.all([fixture.stop(writer), fixture.stop(relay)]);
    expect(performance.now() - startedAt).toBeLessThan(12_000);
  });
});
