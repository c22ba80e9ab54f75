import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { PublishResult } from '@cqrs-outbox/core';
import { messageFor, sendAll, type DeclareTransportTest } from './publishing.js';

/** A batch ends early when nothing may be sent any more. */
export function stoppingTests(test: DeclareTransportTest): void {
  test('sends nothing when nothing may be sent any more', async (fixture) => {
    const messages = Array.from({ length: 5 }, () => messageFor(fixture));
    const results = await fixture.transport.publish(messages, { mayStart: () => false });
    assert.deepEqual(
      results.map(({ status }) => status),
      messages.map(() => 'held'),
    );
    const arrived = await sendAll(fixture, messages);
    assert.equal(arrived.length, messages.length);
  });

  for (const [what, allows] of [
    ['when it may send no more', (asked: number) => asked === 1],
    ['when it may send only later', (asked: number) => asked > 1],
    ['when it may send now and then', (asked: number) => asked % 3 === 0],
  ] as const) {
    test(`holds the rest of each key ${what}, and sends it when it is asked again`, async (fixture) => {
      const keys = Array.from({ length: 4 }, () => randomUUID());
      const topics = [fixture.topic, fixture.otherTopic ?? fixture.topic];
      const messages = Array.from({ length: 6 }, (_, index) =>
        keys.map((key) => messageFor(fixture, { key, topic: topics[index % 2] ?? fixture.topic })),
      ).flat();
      let asked = 0;
      const results = await fixture.transport.publish(messages, { mayStart: () => allows(++asked) });
      assert.ok(asked > 0, 'it did not ask');
      for (const key of keys) assertHeldFromOne(results.filter((_, index) => messages[index]?.key === key));
      const held = messages.filter((_, index) => results[index]?.status === 'held');
      if (held.length > 0) await sendAll(fixture, held);
      const arrived = await fixture.arrivals(messages.map(({ id }) => id));
      assert.equal(arrived.length, messages.length);
    });
  }

  test('sends all when it may', async (fixture) => {
    const messages = Array.from({ length: 5 }, () => messageFor(fixture));
    const results = await fixture.transport.publish(messages, { mayStart: () => true });
    assert.ok(results.every(({ status }) => status === 'published'));
    await fixture.arrivals(messages.map(({ id }) => id));
  });
}

/** Of one key: published up to some message, and held from there on. */
function assertHeldFromOne(results: readonly PublishResult[]): void {
  const statuses = results.map(({ status }) => status);
  const published = statuses.filter((status) => status === 'published');
  const held = statuses.filter((status) => status === 'held');
  assert.deepEqual(statuses, [...published, ...held]);
}
