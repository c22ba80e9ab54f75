import assert from 'node:assert/strict';
import type { Lease } from '@cqrs-outbox/core';
import { keyInSlot, SAMPLE_SLOT_COUNT, SAMPLE_SLOTS } from '../sample-message.js';
import { DELAY_MS, SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, fetchOne, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { selectableEntries, SELECTIONS } from './listing.js';
import { assignSlots, listLabels, requeue, withDeadLetters } from './scene.js';

/** What `requeue` and `discard` promise of the entries themselves. */
export function requeueTests(test: DeclareStoreTest): void {
  for (const [what, selection, labels] of SELECTIONS) {
    const rest = ['a', 'b', 'c'].filter((label) => !labels.includes(label));

    test(`requeues ${what}`, async ({ fixture }) => {
      await withDeadLetters(fixture, selectableEntries(), ['a', 'b', 'c']);
      assert.equal(await requeue(fixture, selection), labels.length);
      assert.deepEqual(await fetchLabels(fixture), labels);
      assert.deepEqual(await listLabels(fixture), rest);
    });

    test(`discards ${what}`, async ({ fixture }) => {
      await withDeadLetters(fixture, [...selectableEntries(), 'd'], ['a', 'b', 'c']);
      assert.equal(await fixture.deadLetters.discard(selection), labels.length);
      assert.equal(await fixture.deadLetters.discard(selection), 0);
      assert.deepEqual(await fetchLabels(fixture), ['d']);
      assert.deepEqual(await listLabels(fixture), rest);
    });
  }

  test('requeues an entry as it was, at the position that it had', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const entry = labelled('a', {
      headers: { 'x-text': 'é' },
      contentEncoding: 'gzip',
      causationId: 'cause',
      key: 'key',
    });
    await commit(fixture, entry, 'b');
    const before = await fetchFirst(fixture);
    await relay.reschedule(before);
    await fixture.passTime(DELAY_MS);
    await relay.bury(await fetchFirst(fixture));
    assert.equal(await requeue(fixture), 1);
    assert.deepEqual(await fetchFirst(fixture), before);
  });

  test('keeps the order of the key, whatever the order in which its entries were given up', async ({
    fixture,
  }) => {
    await withDeadLetters(fixture, ['a', 'b', 'c', 'd'], ['d', 'a', 'c']);
    await commit(fixture, 'e');
    await requeue(fixture);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'c', 'd', 'e']);
  });

  test('puts a requeued entry before one of its key that waits for a retry, which keeps its own', async ({
    fixture,
  }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b', 'c', 'd'], ['a']);
    await relay.remove([await fetchOne(fixture, 'b')]);
    await relay.reschedule(await fetchOne(fixture, 'c'));
    assert.deepEqual(await labelsAndAttempts(fixture), []);
    await requeue(fixture);
    assert.deepEqual(await labelsAndAttempts(fixture), [['a', 0]]);
    await fixture.passTime(DELAY_MS);
    const due = await labelsAndAttempts(fixture);
    assert.deepEqual(due, [
      ['a', 0],
      ['c', 1],
    ]);
    await relay.remove([await fetchOne(fixture, 'a')]);
    assert.deepEqual(await labelsAndAttempts(fixture), [['c', 1]]);
  });

  test('puts it before one that is refused only after the requeueing', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b'], ['a']);
    const inHand = await fetchOne(fixture, 'b');
    await requeue(fixture);
    await relay.reschedule(inHand);
    assert.deepEqual(await labelsAndAttempts(fixture), [['a', 0]]);
  });

  test('holds the later one back when the requeued one is refused', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b'], ['a']);
    await relay.reschedule(await fetchOne(fixture, 'b'), 0);
    await requeue(fixture);
    await relay.reschedule(await fetchOne(fixture, 'a'));
    assert.deepEqual(await labelsAndAttempts(fixture), []);
    await fixture.passTime(DELAY_MS);
    assert.deepEqual(await labelsAndAttempts(fixture), [['a', 1]]);
    await relay.remove([await fetchOne(fixture, 'a')]);
    assert.deepEqual(await labelsAndAttempts(fixture), [['b', 0]]);
  });

  test('requeues and discards those that there were at a time', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b', 'c', 'd'], ['a', 'b']);
    const upTo = await fixture.deadLetters.newest();
    assert.ok(upTo);
    await relay.bury(await fetchOne(fixture, 'c'));
    assert.equal(await requeue(fixture, { upTo }), 2);
    assert.equal(await fixture.deadLetters.discard({ upTo }), 0);
    assert.deepEqual(await listLabels(fixture), ['c']);
  });

  test('requeues a message once', async ({ fixture }) => {
    await withDeadLetters(fixture, ['a', 'b'], ['a']);
    assert.equal(await requeue(fixture), 1);
    assert.equal(await requeue(fixture), 0);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
  });

  test('requeues once when several do so at the same time', async ({ fixture }) => {
    await withDeadLetters(fixture, ['a', 'b', 'c'], ['a', 'b', 'c']);
    const counts = await Promise.all(Array.from({ length: 4 }, () => fixture.deadLetters.requeue({})));
    await assignSlots(fixture);
    assert.equal(
      counts.reduce((a, b) => a + b),
      3,
    );
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'c']);
  });

  test('has no slot for a requeued entry: nothing of its destination is read before it has one', async ({
    fixture,
  }) => {
    const elsewhere = labelled('b', { destination: 'other' });
    await withDeadLetters(
      fixture,
      [labelled('a', { key: keyInSlot(SAMPLE_SLOTS[2]) }), elsewhere, 'c'],
      ['a'],
    );
    assert.equal(await fixture.deadLetters.requeue({}), 1);
    const selection = { slots: SAMPLE_SLOTS, slotCount: SAMPLE_SLOT_COUNT, limitPerSlot: 10 };
    assert.deepEqual(await fixture.outbox.fetch({ destination: 'default', ...selection }), {
      entries: [],
      hasMisplaced: true,
    });
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['b']);
    await assignSlots(fixture);
    assert.equal((await fetchOne(fixture, 'a')).slot, SAMPLE_SLOTS[2]);
  });

  test('forgets the refusals before: the next ones are counted anew', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a'], ['a']);
    await requeue(fixture);
    await relay.reschedule(await fetchFirst(fixture), 0, 'again');
    await relay.bury(await fetchFirst(fixture), 'and again');
    const [letter] = await fixture.deadLetters.list({ limit: 10 });
    assert.equal(letter?.attempts, 2);
    assert.deepEqual(
      letter.history.map(({ error }) => error),
      ['again', 'and again'],
    );
  });

  test('has a requeued entry removed like any other, by the lease of its slot', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b'], ['a']);
    await requeue(fixture);
    const first = await fetchFirst(fixture);
    const lost: Lease = { ...relay.leaseOf(first), owner: 'nobody' };
    assert.equal(await fixture.outbox.remove([first], [lost]), 0);
    assert.equal(await relay.remove([first]), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.deepEqual(await listLabels(fixture), []);
  });
}

/** What `requeue` promises of many dead letters; for stores that can make many in a short time. */
export function manyRequeuedTests(test: DeclareStoreTest): void {
  test('requeues 500 at a time, those with the earliest positions first', async ({ fixture }) => {
    const labels = Array.from({ length: 503 }, (_, index) => String(index));
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, ...labels.map((label) => labelled(label, { key: label })));
    const latestFirst = (await fetchAll(fixture)).toReversed();
    for (let index = 0; index < latestFirst.length; index += 10)
      await Promise.all(latestFirst.slice(index, index + 10).map((entry) => relay.bury(entry)));
    assert.equal(await requeue(fixture), 500);
    assert.deepEqual(await fetchLabels(fixture), labels.slice(0, 500));
    assert.equal(await requeue(fixture), 3);
    assert.deepEqual(await fetchLabels(fixture), labels);
  });
}

async function labelsAndAttempts(fixture: StoreFixture): Promise<[label: string, attempts: number][]> {
  return (await fetchAll(fixture)).map((entry) => [labelOf(entry), entry.attempts]);
}
