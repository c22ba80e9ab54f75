import assert from 'node:assert/strict';
import type { OutboxEntry } from '@cqrs-outbox/core';
import { SampleRelay } from '../sample-relay.js';
import { sampleEntry } from '../sample-message.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `fetch`, `fetchUpTo` and `count` promise. */
export function readingTests(test: DeclareStoreTest): void {
  test('finds its tables', async ({ fixture }) => {
    await fixture.outbox.checkSchema();
  });

  test('is empty at first', async ({ fixture }) => {
    assert.deepEqual(await fetchAll(fixture), []);
    assert.equal(await fixture.outbox.count('default'), 0);
  });

  test('reads entries in the order of their commits, with ascending positions', async ({ fixture }) => {
    await commit(fixture, 'a', 'b');
    await commit(fixture, 'c');
    const entries = await fetchAll(fixture);
    assert.deepEqual(entries.map(labelOf), ['a', 'b', 'c']);
    const positions = entries.map(({ position }) => BigInt(position));
    assert.ok(positions.every((position, index) => position > (positions[index - 1] ?? 0n)));
  });

  test('gives no position twice, even when its entry is gone', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    const before = await fetchFirst(fixture);
    await relay.remove([before]);
    await commit(fixture, 'b');
    const after = await fetchFirst(fixture);
    assert.ok(BigInt(after.position) > BigInt(before.position));
  });

  test('keeps destinations apart', async ({ fixture }) => {
    await commit(
      fixture,
      labelled('a'),
      labelled('b', { destination: 'Other' }),
      labelled('c', { destination: 'other' }),
    );
    assert.deepEqual(await fetchLabels(fixture), ['a']);
    assert.deepEqual(await fetchLabels(fixture, 'Other'), ['b']);
    assert.equal(await fixture.outbox.count('other'), 1);
    assert.equal(await fixture.outbox.count('nowhere'), 0);
  });

  test('takes one message for several destinations', async ({ fixture }) => {
    const message = sampleEntry();
    await commit(fixture, { ...message, destination: 'one' }, { ...message, destination: 'two' });
    assert.equal((await fetchAll(fixture, 'one'))[0]?.id, message.id);
    assert.equal((await fetchAll(fixture, 'two'))[0]?.id, message.id);
  });

  for (const [what, given] of Object.entries(entryCases())) {
    test(`reads an entry back as it was: ${what}`, async ({ fixture }) => {
      const entry = sampleEntry(given);
      await commit(fixture, entry);
      const { position, unreadable, ...read } = await fetchFirst(fixture);
      assert.equal(typeof position, 'string');
      assert.equal(unreadable, undefined);
      const { availableAt: _, strictOrder: __, ...kept } = entry;
      assert.deepEqual(read, { ...kept, attempts: 0 });
    });
  }

  test('reads one message with the earlier ones of its key', async ({ fixture }) => {
    const wanted = labelled('c');
    const others = [labelled('x', { key: 'other' }), labelled('y', { destination: 'other' })];
    await commit(fixture, 'a', ...others, 'b', wanted, 'd');
    const upTo = async (limit: number): Promise<string[]> =>
      (await fixture.outbox.fetchUpTo(wanted.id, 'default', limit)).map(labelOf);
    assert.deepEqual(await upTo(10), ['a', 'b', 'c']);
    assert.deepEqual(await upTo(2), ['a', 'b']);
    assert.deepEqual(await fixture.outbox.fetchUpTo(wanted.id, 'other', 10), []);
    assert.deepEqual(await fixture.outbox.fetchUpTo('no-such-id', 'default', 10), []);
  });
}

function entryCases(): Record<string, Partial<OutboxEntry>> {
  const text = '\u0000 \\ \' " % \u2028 \u{1F600} e\u0301 \u00e9 \r\n';
  return {
    'a tombstone': { payload: null },
    'an empty payload': { payload: Buffer.alloc(0) },
    'every byte': {
      payload: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      contentType: 'a/b',
    },
    'a payload of 5 MiB': { payload: Buffer.alloc(5 * 1024 * 1024, 'x') },
    'a cause': { causationId: 'cause', correlationId: 'correlation' },
    'a content encoding': { contentEncoding: 'gzip', headers: { 'x-text': text } },
    'headers of any text': { headers: { 'x-text': text, [`x-${text}`]: '', 'X-CASE': '1', 'x-case': '2' } },
    'headers over 64 KiB': { headers: { 'x-long': 'é'.repeat(40_000) } },
    'a key of any text': { key: text.replace('\u0000', '') },
    'the policy park': { deadLetterPolicy: 'park' },
    'a strict order': { strictOrder: true },
    'names as long as they may be': {
      topic: 't'.repeat(191),
      name: 'n'.repeat(191),
      key: '\u{1F600}'.repeat(95),
      source: 's'.repeat(191),
      version: 32_767,
    },
  };
}
