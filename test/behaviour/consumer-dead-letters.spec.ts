import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  NullTransport,
  Transport,
  type DeadLetterDestination,
  type Message,
  type PublishResult,
} from '@cqrs-outbox/core';
import { eventually } from '../support/eventually.ts';
import { DOWN, REFUSED } from '../support/scripted-transport.ts';
import { createCrateApp, crateHeaders, onKafka, PAYLOAD, QUICK, type CrateApp } from './consumer-fixture.ts';

class Letterbox extends Transport {
  readonly received: Message[] = [];
  next: (() => PublishResult)[] = [];

  async publish(messages: readonly Message[]): Promise<PublishResult[]> {
    return messages.map((message) => {
      const result = this.next.shift()?.() ?? { status: 'published' };
      if (result.status === 'published') this.received.push(message);
      return result;
    });
  }

  async close(): Promise<void> {}
}

describe('dead letters of a consumer, at a destination', () => {
  let test: CrateApp;
  let letterbox: Letterbox;

  const open = async (deadLetters: DeadLetterDestination): Promise<void> => {
    letterbox = new Letterbox();
    test = await createCrateApp(
      { database: 'libsql' },
      {
        transport: { default: new NullTransport(), letters: letterbox },
        consumer: { ...QUICK, deadLetters },
      },
    );
    test.behaviour.onCall = async () => {
      throw new Error('the scales\nare broken');
    };
  };
  beforeEach(() => open({ destination: 'letters' }));
  afterEach(() => test.close());

  it('go to the table when they come back, and not round for ever', async () => {
    await test.consumer.consume(PAYLOAD, onKafka(crateHeaders({ 'x-dead-letter-reason': 'it was so' })));
    expect(letterbox.received).toEqual([]);
    expect(await test.letters()).toHaveLength(1);
  });

  it('are the message itself, with reason, attempts and where it was', async () => {
    const headers = crateHeaders({
      tenant: 'acme',
      ce_correlationid: 'c-1',
      ce_time: '2026-01-02T03:04:05.678Z',
    });
    await test.consumer.consume(PAYLOAD, onKafka(headers));
    const [letter, ...rest] = letterbox.received;
    expect(rest).toEqual([]);
    expect(letter).toMatchObject({
      id: headers['ce_id'],
      name: 'crates.packed',
      topic: 'crates.dead-letters',
      key: 'k',
      source: 'packers',
      version: 1,
      correlationId: 'c-1',
      occurredAt: new Date('2026-01-02T03:04:05.678Z'),
      contentType: 'application/json',
    });
    expect(JSON.parse(String(letter?.payload))).toEqual(PAYLOAD);
    expect(letter?.headers).toEqual({
      tenant: 'acme',
      'x-dead-letter-reason': '1 handler(s) of crates.packed failed: CountCrates: the scales are broken.',
      'x-dead-letter-attempts': '3',
      'x-dead-letter-coordinates': 'kafka crates[3]@42',
    });
    expect(await test.letters()).toEqual([]);
    expect(test.consumer.counts.deadLettered).toBe(1);
  });

  it('go to the topic that is given', async () => {
    await test.close();
    await open({ destination: 'letters', topic: 'graveyard' });
    await test.consumer.consume(PAYLOAD, onKafka());
    expect(letterbox.received[0]?.topic).toBe('graveyard');
  });

  it('of what is none of ours and no JSON keep the bytes, by a new id', async () => {
    await test.consumer.consume(
      'no json',
      onKafka({ 'content-type': 'application/json' }, undefined, 'no json'),
    );
    const [letter] = letterbox.received;
    expect(letter).toMatchObject({ name: 'unknown', contentType: 'application/octet-stream' });
    expect(letter?.id).toMatch(/^[\da-f-]{36}$/);
    expect(String(letter?.payload)).toBe('no json');
    expect(letter?.headers).toMatchObject({
      'x-dead-letter-attempts': '0',
      'x-dead-letter-content-type': 'application/json',
    });
  });

  it('go to the table when the destination refuses them for good, or three times', async () => {
    letterbox.next = [() => ({ ...REFUSED, permanent: true }) as PublishResult, () => REFUSED, () => REFUSED];
    letterbox.next.push(() => REFUSED);
    await test.consumer.consume(PAYLOAD, onKafka());
    expect(await test.letters()).toHaveLength(1);
    await test.consumer.consume(PAYLOAD, onKafka());
    expect(await test.letters()).toHaveLength(2);
    expect([letterbox.received, letterbox.next]).toEqual([[], []]);
  });

  it('wait for a destination that is down, for as long as it takes, and the message is not acknowledged', async () => {
    let isDown = true;
    let asked = 0;
    const answer = (): PublishResult => {
      asked++;
      letterbox.next.push(answer);
      return isDown ? DOWN : { status: 'published' };
    };
    letterbox.next = [answer];
    let isDone = false;
    const consumed = test.consumer.consume(PAYLOAD, onKafka()).then(() => (isDone = true));
    await eventually(() => expect(asked).toBeGreaterThan(20));
    expect([isDone, await test.letters()]).toEqual([false, []]);
    isDown = false;
    await consumed;
    expect(letterbox.received).toHaveLength(1);
    expect(test.behaviour.calls).toBe(3);
  });

  it('wait for the table too', async () => {
    await test.close();
    await open({ destination: 'letters' });
    letterbox.next = [() => ({ ...REFUSED, permanent: true }) as PublishResult];
    const connection = () => test.orm.em.fork().getConnection();
    await connection().execute('alter table cqrs_inbox_dead_letter rename to elsewhere');
    letterbox.next = Array.from(
      { length: 30 },
      () => () => ({ ...REFUSED, permanent: true }) as PublishResult,
    );
    const consumed = test.consumer.consume(PAYLOAD, onKafka());
    await eventually(() => expect(letterbox.next.length).toBeLessThan(20));
    await connection().execute('alter table elsewhere rename to cqrs_inbox_dead_letter');
    await consumed;
    expect(await test.letters()).toHaveLength(1);
  });
});
