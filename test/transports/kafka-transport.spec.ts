import { beforeEach, describe, expect, it } from '@jest/globals';
import { KafkaTransport, type KafkaAnswer, type KafkaFault, type Message } from '@cqrs-outbox/core';
import { messageOf } from '../support/message.ts';
import { ScriptedKafkaProducer } from './scripted-kafka-producer.ts';

/** What the client says of a topic that it may know better when it is renewed. */
const UNKNOWN = fault('UNKNOWN_TOPIC_OR_PARTITION', true);
const MOVED = fault('NOT_LEADER_OR_FOLLOWER', true);
const TOO_LARGE = fault('MESSAGE_TOO_LARGE');
const DOWN = fault(undefined);

function fault(name: string | undefined, mayBeStale = false): KafkaFault {
  return { error: new Error(name ?? 'down'), name, mayBeStale };
}

describe('KafkaTransport', () => {
  let producer: ScriptedKafkaProducer;
  let transport: KafkaTransport;

  beforeEach(() => {
    producer = new ScriptedKafkaProducer();
    transport = new KafkaTransport(producer);
  });

  /** Publishes one message for each key. @returns the statuses */
  const publish = async (keys: string, mayStart = () => true): Promise<string> => {
    const messages = keys.split(' ').map((key) => messageOf({ key }));
    const results = await transport.publish(messages, { mayStart });
    return results.map(({ status }) => status).join(' ');
  };

  /** Those with some keys have a fault, each key for itself like a partition. */
  const faulty =
    (keys: string, what: KafkaFault) =>
    (messages: readonly Message[]): KafkaAnswer[] =>
      [...Map.groupBy(messages, ({ key }) => key)].map(([key, group]) =>
        keys.includes(key) ? { messages: group, fault: what } : { messages: group },
      );

  describe('with a client that tells partitions apart', () => {
    it('sends nothing again that was taken, and halves what was refused', async () => {
      producer.onSend = (messages) => {
        const [first, ...rest] = messages.filter(({ key }) => key === 'b');
        const isRefused = first !== undefined && (rest.length === 0 || messages.length > 1);
        return faulty(isRefused ? 'b' : '', TOO_LARGE)(messages);
      };
      expect(await publish('a b b b c')).toBe('published refused held held published');
      expect(producer.requests).toEqual(['a b b b c', 'b']);
    });

    it('holds only the keys of a partition that is unavailable', async () => {
      producer.onSend = faulty('b', DOWN);
      expect(await publish('a b b c')).toBe('published unavailable held published');
    });

    it('renews it once, and sends again only what had the wrong leader', async () => {
      producer.onSend = (messages) => faulty(producer.requests.length === 1 ? 'b c' : '', MOVED)(messages);
      expect(await publish('a b c')).toBe('published published published');
      expect(producer.asked).toEqual(['prepare', 'a b c', 'renew', 'prepare', 'b c']);
    });

    it('gives up when there is still no leader', async () => {
      producer.onSend = faulty('b c', MOVED);
      expect(await publish('a b c')).toBe('published unavailable unavailable');
      expect(producer.asked).toEqual(['prepare', 'a b c', 'renew', 'prepare', 'b c']);
    });

    it('asks before it sends again', async () => {
      producer.onSend = faulty('b', MOVED);
      let asked = 0;
      expect(await publish('a b', () => ++asked === 1)).toBe('published held');
      expect(producer.requests).toEqual(['a b']);
    });
  });

  it('sends nothing when the client could not prepare it', async () => {
    producer.onPrepare = () => DOWN;
    expect(await publish('a a b', () => false)).toBe('unavailable held unavailable');
    expect(producer.requests).toEqual([]);
  });

  it('asks for a topic once that refuses everybody', async () => {
    producer.onPrepare = () => fault('TOPIC_AUTHORIZATION_FAILED');
    expect(await publish('a b b c')).toBe('refused refused held refused');
    expect(producer.asked).toEqual(['prepare']);
  });

  it('asks whether it may send when nothing has to be waited for any more', async () => {
    const before: string[][] = [];
    await publish('a', () => before.push([...producer.asked]) > 0);
    expect(before).toEqual([['prepare']]);
  });

  describe('on a topic that is unknown', () => {
    it('refuses, and does not renew the client for it again and again', async () => {
      producer.onSend = faulty('a', UNKNOWN);
      expect(await publish('a')).toBe('refused');
      expect(await publish('a')).toBe('refused');
      expect(producer.asked).toEqual(['prepare', 'a', 'renew', 'prepare', 'a', 'prepare', 'a']);
    });

    it('is unavailable first when it had been there', async () => {
      expect(await publish('a')).toBe('published');
      producer.onSend = faulty('a', UNKNOWN);
      expect([await publish('a'), await publish('a')]).toEqual(['unavailable', 'refused']);
    });

    it('is unavailable in all its partitions when it had been there', async () => {
      expect(await publish('a b')).toBe('published published');
      producer.onSend = faulty('a b', UNKNOWN);
      expect(await publish('a b')).toBe('unavailable unavailable');
    });

    it('refuses also when the client finds it before it sends', async () => {
      producer.onPrepare = () => ({ ...UNKNOWN, mayBeStale: false });
      expect(await publish('a')).toBe('refused');
      expect(producer.asked).toEqual(['prepare']);
    });
  });
});
