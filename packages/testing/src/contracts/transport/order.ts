import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Message } from '@cqrs-outbox/core';
import type { TransportFixture } from '../transport-harness.js';
import { messageFor, publishAll, sendAll, type DeclareTransportTest } from './publishing.js';

/** Results come in the order of the messages, and messages of one key arrive in it. */
export function orderTests(test: DeclareTransportTest): void {
  test('takes an empty batch', async ({ transport }) => {
    assert.deepEqual(await transport.publish([]), []);
  });

  test('keeps the order of each key, in a batch and over several', async (fixture) => {
    const keys = Array.from({ length: 20 }, () => randomUUID());
    const batch = (): Message[] =>
      Array.from({ length: 15 }, () => keys.map((key) => messageFor(fixture, { key }))).flat();
    const batches = [batch(), batch()];
    for (const messages of batches) await publishAll(fixture, messages);
    const sent = batches.flat();
    const arrived = await fixture.arrivals(sent.map(({ id }) => id));
    for (const key of keys) assert.deepEqual(idsOf(arrived, key), idsOf(sent, key));
  });

  test('delivers each message once when nothing fails', async (fixture) => {
    const messages = Array.from({ length: 50 }, () => messageFor(fixture));
    const arrived = await sendAll(fixture, messages);
    assert.equal(arrived.length, messages.length);
  });

  test('takes batches at the same time', async (fixture) => {
    const batches = [1, 2, 3].map(() => Array.from({ length: 20 }, () => messageFor(fixture)));
    await Promise.all(batches.map((batch) => publishAll(fixture, batch)));
    await fixture.arrivals(batches.flat().map(({ id }) => id));
  });

  test('takes a batch that is larger than any one message may be, in order', async (fixture) => {
    const key = randomUUID();
    const payload = Buffer.from(JSON.stringify('x'.repeat(200 * 1024)));
    const messages = Array.from({ length: 12 }, () => messageFor(fixture, { key, payload }));
    assert.deepEqual(idsOf(await sendAll(fixture, messages), key), idsOf(messages, key));
  });

  test('delivers the same message again when it is published again', async (fixture) => {
    const message = messageFor(fixture);
    await publishAll(fixture, [message]);
    await publishAll(fixture, [message]);
    await fixture.arrivals([message.id]);
  });

  test('holds what follows a refused message of its key, and nothing else', async (fixture) => {
    const messages = withRefusals(fixture);
    if (!messages) return;
    const results = await fixture.transport.publish(messages);
    const expected = ['published', 'refused', 'published', 'held', 'held', 'published'];
    assert.deepEqual(
      results.map(({ status }) => status),
      expected,
    );
    assert.ok(results[1]?.status === 'refused' && results[1].error !== undefined, 'no reason is given');
    const accepted = messages.filter((_, index) => expected[index] === 'published');
    await fixture.arrivals(accepted.map(({ id }) => id));
  });

  test('publishes what was held, when it is asked again, after what was refused', async (fixture) => {
    if (!fixture.refusable) return;
    const key = randomUUID();
    const [first, second] = [messageFor(fixture, { key }), messageFor(fixture, { key })];
    await fixture.transport.publish([fixture.refusable(first), second]);
    const arrived = await sendAll(fixture, [first, second]);
    assert.deepEqual(idsOf(arrived, key), [first.id, second.id]);
  });

  test('holds what follows a refused message of its key on another topic too', async (fixture) => {
    const { otherTopic: topic, refusable } = fixture;
    if (topic === undefined || !refusable) return;
    const key = randomUUID();
    const batch = [refusable(messageFor(fixture, { key })), messageFor(fixture, { key, topic })];
    const results = await fixture.transport.publish(batch);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['refused', 'held'],
    );
  });
}

/** Key a: published, refused, held, held; keys b and c: published. */
function withRefusals(fixture: TransportFixture): Message[] | undefined {
  if (!fixture.refusable) return undefined;
  const key = randomUUID();
  const refused = fixture.refusable(messageFor(fixture, { key }));
  const ofKey = (): Message => messageFor(fixture, { key });
  return [ofKey(), refused, messageFor(fixture), ofKey(), ofKey(), messageFor(fixture)];
}

function idsOf(messages: readonly { id: string; key: string }[], key: string): string[] {
  return messages.filter((message) => message.key === key).map(({ id }) => id);
}
