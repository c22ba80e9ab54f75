import assert from 'node:assert/strict';
import { WIRE_HEADERS, type Message } from '@cqrs-outbox/core';
import type { TransportHarness } from '../transport-harness.js';
import { messageFor, sendAll, type DeclareTransportTest } from './publishing.js';

const TEXT = '\\ \' " % \u2028 \u{1F600} e\u0301 \u00e9';

/** Each message arrives as it was given. */
export function contentTests(test: DeclareTransportTest, { json, maxPayloadBytes }: TransportHarness): void {
  test('delivers key, attributes and headers unchanged', async (fixture) => {
    const message = messageFor(fixture, {
      key: `key ${TEXT}`,
      version: 7,
      causationId: 'cause',
      correlationId: 'correlation',
      headers: { 'x-text': TEXT, 'x-empty': '', 'x-number': '007' },
    });
    const [arrived] = await sendAll(fixture, [message]);
    assert.equal(arrived?.key, message.key);
    for (const [attribute, value] of Object.entries(attributesOf(message))) {
      assert.equal(arrived.headers[attribute], value, attribute);
    }
    for (const [header, value] of Object.entries(message.headers)) {
      assert.equal(arrived.headers[header], value, header);
    }
  });

  const payloads = { ...jsonPayloads(), 'a large structure': largeJson(maxPayloadBytes) };
  for (const [what, payload] of Object.entries(payloads)) {
    test(`delivers JSON unchanged: ${what}`, async (fixture) => {
      const [arrived] = await sendAll(fixture, [messageFor(fixture, { payload })]);
      if (json === 'same bytes') assert.ok(arrived?.payload?.equals(payload), 'the bytes differ');
      else assert.deepEqual(parse(arrived?.payload), parse(payload));
    });
  }

  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const binaries = {
    'every byte': bytes,
    'no byte': Buffer.alloc(0),
    'as many as may be': large(maxPayloadBytes),
  };
  for (const [what, payload] of Object.entries(binaries)) {
    test(`delivers other bytes unchanged: ${what}`, async (fixture) => {
      const [arrived] = await sendAll(fixture, [
        messageFor(fixture, { payload, contentType: 'application/x-bytes' }),
      ]);
      assert.ok(arrived?.payload?.equals(payload), 'the bytes differ');
    });
  }

  test('delivers bytes that have a content encoding unchanged, and says which', async (fixture) => {
    const encoded = messageFor(fixture, { payload: bytes, contentEncoding: 'gzip' });
    const [arrived] = await sendAll(fixture, [encoded]);
    assert.ok(arrived?.payload?.equals(bytes), 'the bytes differ');
    assert.equal(arrived?.headers[WIRE_HEADERS.contentEncoding], 'gzip');
    const [plain] = await sendAll(fixture, [messageFor(fixture)]);
    assert.equal(plain?.headers[WIRE_HEADERS.contentEncoding], undefined);
  });

  for (const contentType of ['application/json', 'application/x-bytes']) {
    test(`delivers a tombstone as one: ${contentType}`, async (fixture) => {
      const [arrived] = await sendAll(fixture, [
        messageFor(fixture, { payload: null, contentType, key: 'gone' }),
      ]);
      assert.equal(arrived?.payload, null);
      assert.equal(arrived.key, 'gone');
    });
  }

  test('leaves the messages that it was given alone', async (fixture) => {
    const message = Object.freeze(messageFor(fixture, { headers: Object.freeze({ 'x-own': '1' }) }));
    const before = structuredClone(message);
    await sendAll(fixture, Object.freeze([message]));
    assert.deepEqual(structuredClone(message), before);
  });
}

function attributesOf(message: Message): Record<string, string> {
  return {
    [WIRE_HEADERS.id]: message.id,
    [WIRE_HEADERS.name]: message.name,
    [WIRE_HEADERS.source]: message.source,
    [WIRE_HEADERS.version]: String(message.version),
    [WIRE_HEADERS.key]: message.key,
    [WIRE_HEADERS.occurredAt]: message.occurredAt.toISOString(),
    [WIRE_HEADERS.correlationId]: message.correlationId,
    [WIRE_HEADERS.causationId]: message.causationId ?? '',
    [WIRE_HEADERS.contentType]: message.contentType,
  };
}

/** Names that a broker's client may take for its own. */
function jsonPayloads(): Record<string, Buffer> {
  const structures = {
    'properties named key, value and headers': {
      key: 'k',
      value: 'v',
      headers: { a: 1 },
      topic: 't',
      partition: 9,
    },
    'properties named id, pattern, data and response': {
      id: 1,
      pattern: 'p',
      data: 'd',
      response: 'r',
      isDisposed: true,
    },
    'a property named value alone': { value: null },
    'a property named __proto__': JSON.parse('{"__proto__":{"a":1},"b":2}') as unknown,
    'text in all alphabets': { text: `${TEXT} \u0000 \uD800` },
    'an empty structure': {},
  };
  const encoded = Object.entries(structures).map(([what, value]) => [
    what,
    Buffer.from(JSON.stringify(value)),
  ]);
  return Object.fromEntries(encoded) as Record<string, Buffer>;
}

function largeJson(bytes: number): Buffer {
  const text = JSON.stringify({ text: '' });
  return Buffer.from(JSON.stringify({ text: 'x'.repeat(bytes - text.length) }));
}

function large(bytes: number): Buffer {
  return Buffer.alloc(bytes, Buffer.from([0, 255, 128, 10, 123]));
}

function parse(payload: Buffer | null | undefined): unknown {
  return payload && (JSON.parse(payload.toString('utf8')) as unknown);
}
