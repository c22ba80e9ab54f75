import assert from 'node:assert/strict';
import type { ArchiveSelection } from '@cqrs-outbox/core';
import { sampleEntry, SAMPLE_SLOT_COUNT, SAMPLE_SLOTS } from '../sample-message.js';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { publish, publishAll, replay } from './scene.js';

const HOUR_MS = 60 * 60_000;

/** What `replay` promises. */
export function replayTests(test: DeclareStoreTest): void {
  test('replays nothing out of an empty archive', async ({ fixture }) => {
    assert.deepEqual(await fixture.archive.replay({}, undefined), { replayed: 0, last: undefined });
  });

  test('appends copies with the same content, at the end', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const entry = sampleEntry({
      headers: { 'x-text': 'é' },
      contentEncoding: 'gzip',
      deadLetterPolicy: 'park',
      causationId: 'cause',
    });
    await publish(fixture, relay, entry, labelled('tombstone', { payload: null }));
    await commit(fixture, 'waits');
    const before = await fetchFirst(fixture);
    assert.equal(await replay(fixture), 2);
    const [first, copy, tombstone] = await fetchAll(fixture);
    assert.equal(first?.id, before.id);
    assert.ok(copy);
    const { position, unreadable: _, ...read } = copy;
    assert.ok(BigInt(position) > BigInt(before.position));
    const { availableAt: __, strictOrder: ___, ...kept } = entry;
    assert.deepEqual(read, { ...kept, attempts: 0 });
    assert.equal(tombstone?.payload, null);
  });

  test('replays in the order of the first publication, as often as it is asked to', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, ...['a', 'b', 'c'].map((label) => labelled(label, { key: label })));
    const [a, b, c] = await fetchAll(fixture);
    assert.ok(a && b && c);
    for (const entry of [c, a, b]) await relay.publish([entry]);
    for (let time = 1; time <= 2; time++) {
      assert.equal(await replay(fixture), 3);
      const copies = await fetchAll(fixture);
      assert.deepEqual(
        copies.map(({ id }) => id),
        [c.id, a.id, b.id],
      );
      await relay.publish(copies);
    }
  });

  test('keeps the order of a batch', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const labels = Array.from({ length: 50 }, (_, index) => String(index));
    await publish(fixture, relay, ...labels);
    await replay(fixture);
    assert.deepEqual(await fetchLabels(fixture), labels);
  });

  test('leaves out what is in the outbox', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await publish(fixture, relay, 'a', 'b');
    assert.equal(await replay(fixture), 2);
    assert.equal(await replay(fixture), 0);
    const first = await fetchFirst(fixture);
    await relay.remove([first]);
    assert.equal(await replay(fixture), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b', 'a']);
  });

  test('replays many in steps, after the position that the step before told', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const labels = Array.from({ length: 1_100 }, (_, index) => String(index));
    await publish(fixture, relay, ...labels);
    const first = await fixture.archive.replay({}, undefined);
    assert.equal(first.replayed, 500);
    assert.ok(first.last !== undefined);
    assert.equal((await fixture.archive.replay({}, first.last)).replayed, 500);
    assert.equal(await replay(fixture), 100);
    assert.deepEqual(await fetchLabels(fixture), labels);
  });

  for (const [what, selection, labels] of [
    ['all', {}, ['a', 'b', 'c']],
    ['a key', { key: 'one' }, ['a', 'b']],
    ['an event', { name: 'first' }, ['a', 'c']],
    ['all conditions at once', { key: 'one', name: 'first', destination: 'default' }, ['a']],
    ['another destination', { destination: 'elsewhere' }, []],
    ['a key in another case', { key: 'One' }, []],
  ] as const satisfies readonly (readonly [string, ArchiveSelection, readonly string[]])[]) {
    test(`replays ${what}`, async ({ fixture }) => {
      const relay = await SampleRelay.start(fixture);
      await publish(
        fixture,
        relay,
        labelled('a', { key: 'one', name: 'first' }),
        labelled('b', { key: 'one', name: 'second' }),
        labelled('c', { key: 'two', name: 'first' }),
      );
      assert.equal(await replay(fixture, selection), labels.length);
      assert.deepEqual(await fetchLabels(fixture), labels);
    });
  }

  test('replays one destination of several', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', labelled('b', { destination: 'other' }));
    await publishAll(fixture, relay);
    await publishAll(fixture, relay, 'other');
    assert.equal(await replay(fixture, { destination: 'other' }), 1);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['b']);
  });

  test('replays by the time of the publication', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    for (const label of ['a', 'b', 'c']) {
      await publish(fixture, relay, label);
      await fixture.passTime(HOUR_MS);
    }
    // By now they were published 3 hours, 2 hours and 1 hour ago.
    const now = await fixture.now();
    const hoursAgo = (hours: number): Date => new Date(now - hours * HOUR_MS);
    for (const [selection, expected] of [
      [{ to: hoursAgo(2.5) }, ['a']],
      [{ from: hoursAgo(2.5), to: hoursAgo(1.5) }, ['b']],
      [{ from: hoursAgo(2.5) }, ['b', 'c']],
      [{ from: hoursAgo(0.5) }, []],
      [{ from: hoursAgo(2.5), to: hoursAgo(0.5), name: 'no such event' }, []],
    ] as const satisfies readonly (readonly [ArchiveSelection, readonly string[]])[]) {
      assert.equal(await replay(fixture, selection), expected.length);
      assert.deepEqual(await fetchLabels(fixture), expected);
      await relay.remove(await fetchAll(fixture));
    }
  });

  test('has no slot for a replayed entry: nothing of its destination is read before it has one', async ({
    fixture,
  }) => {
    const relay = await SampleRelay.start(fixture);
    await publish(fixture, relay, 'a');
    await commit(fixture, 'b');
    await fixture.archive.replay({}, undefined);
    const selection = { slots: SAMPLE_SLOTS, slotCount: SAMPLE_SLOT_COUNT, limitPerSlot: 10 };
    assert.deepEqual(await fixture.outbox.fetch({ destination: 'default', ...selection }), {
      entries: [],
      hasMisplaced: true,
    });
    assert.equal(await fixture.outbox.assignSlots('default', SAMPLE_SLOT_COUNT), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b', 'a']);
  });
}
