import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LoggerService } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import {
  createCrateApp,
  crateHeaders,
  inMemory,
  onKafka,
  PAYLOAD,
  type CrateApp,
} from './consumer-fixture.ts';

describe('hostile messages', () => {
  let test: CrateApp;
  const lines: string[] = [];

  beforeEach(async () => {
    test = await createCrateApp({ database: 'libsql' });
    lines.length = 0;
    const write = (line: unknown): void => void lines.push(String(line));
    const logger: LoggerService = { log: write, error: write, warn: write };
    Logger.overrideLogger(logger);
  });
  afterEach(async () => {
    Logger.overrideLogger(false);
    await test.close();
  });

  it('with a header of 1 MiB become dead letters that keep the rest, and nothing large is logged', async () => {
    const headers = crateHeaders({ bomb: 'x'.repeat(1024 * 1024), tenant: 'acme' });
    await test.consumer.consume(PAYLOAD, onKafka(headers));
    const [letter, ...rest] = await test.letters();
    expect(rest).toEqual([]);
    expect(letter?.['reason']).toMatch(/^its headers have 10487\d\d bytes, more than 65536$/);
    const kept = JSON.parse(String(letter?.['headers'])) as Record<string, string>;
    expect(kept).toEqual({ ...crateHeaders(), ce_id: headers['ce_id'], tenant: 'acme' });
    expect(test.behaviour.calls).toBe(0);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(2_000);
  });

  it('with many small headers become dead letters too', async () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`header-${n}`, 'value']));
    await test.consumer.consume(PAYLOAD, inMemory(crateHeaders(many)));
    const [letter] = await test.letters();
    expect(letter?.['message_id']).toMatch(/^[\da-f-]{36}$/);
    expect(String(letter?.['headers']).length).toBeLessThan(200_000);
  });

  it('with headers named like the prototype and its constructor change no object', async () => {
    const headers = JSON.parse(
      JSON.stringify({ ...crateHeaders(), constructor: 'c' }).replace(
        '{',
        '{"__proto__":{"polluted":"yes"},',
      ),
    ) as Record<string, string>;
    await test.consumer.consume(PAYLOAD, onKafka(headers));
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(await test.crates()).toBe(1);
    await test.consumer.consume({ id: '1', name: 'x', headers, payload: {} }, {});
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('10,000 of unknown names, are acknowledged and counted, and warned of once a name, 100 times at most', async () => {
    for (let n = 0; n < 10_000; n++) {
      const name = n % 2 === 0 ? 'others.event' : `made.up-${n}`;
      await test.consumer.consume(PAYLOAD, onKafka(crateHeaders({ ce_type: name })));
    }
    expect(test.consumer.counts).toMatchObject({ received: 10_000, unknown: 10_000, deadLettered: 0 });
    expect(lines.filter((line) => line.includes('(others.event)'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('Over 100 kinds of messages'))).toHaveLength(1);
    expect(lines).toHaveLength(101);
    expect(await test.letters()).toEqual([]);
  });

  it('can not write log lines of their own', async () => {
    const name = 'x\nERROR all is lost';
    await test.consumer.consume(PAYLOAD, onKafka(crateHeaders({ ce_type: name })));
    expect(await test.letters()).toHaveLength(1);
    expect(lines.some((line) => line.includes('\n'))).toBe(false);
  });
});
