import assert from 'node:assert/strict';
import type { OutboxEntry } from '@cqrs-outbox/core';
import { commit, fetchLabels, fetchOne, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { requeue, withDeadLetters } from './scene.js';

/** What becomes of the keys that dead letters park. */
export function parkingTests(test: DeclareStoreTest): void {
  test('frees the key when the dead letter is requeued, which then comes first', async ({ fixture }) => {
    await withDeadLetters(fixture, [parking('a'), 'b'], ['a']);
    await commit(fixture, 'c');
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await requeue(fixture), 1);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'c']);
  });

  test('reads no message of the key by its id while the dead letter parks it', async ({ fixture }) => {
    const b = labelled('b');
    await withDeadLetters(fixture, [parking('a'), b], ['a']);
    assert.deepEqual(await fixture.outbox.fetchUpTo(b.id, 'default', 10), []);
    await fixture.deadLetters.discard({});
    assert.equal((await fixture.outbox.fetchUpTo(b.id, 'default', 10)).length, 1);
  });

  test('frees the key when the dead letter is discarded', async ({ fixture }) => {
    await withDeadLetters(fixture, [parking('a'), 'b', 'c'], ['a']);
    assert.equal(await fixture.deadLetters.discard({}), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b', 'c']);
  });

  test('parks the key again when the requeued entry is given up again', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, [parking('a'), 'b'], ['a']);
    await requeue(fixture);
    await relay.bury(await fetchOne(fixture, 'a'));
    assert.deepEqual(await fetchLabels(fixture), []);
    await fixture.deadLetters.discard({});
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('frees the keys of what is selected, and no others', async ({ fixture }) => {
    const entries = [parking('a', 'one'), parking('c', 'two'), inKey('b', 'one'), inKey('d', 'two')];
    await withDeadLetters(fixture, entries, ['a', 'c']);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await requeue(fixture, { key: 'one' }), 1);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
    assert.equal(await fixture.deadLetters.discard({ key: 'two' }), 1);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'd']);
  });

  test('leaves a key parked when another dead letter of it, which parks nothing, is requeued or discarded', async ({
    fixture,
  }) => {
    const entries = [labelled('a', { name: 'first' }), labelled('b', { name: 'second' }), parking('c'), 'd'];
    await withDeadLetters(fixture, entries, ['a', 'b', 'c']);
    assert.equal(await fixture.deadLetters.discard({ name: 'first' }), 1);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await requeue(fixture, { name: 'second' }), 1);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await requeue(fixture), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b', 'c', 'd']);
  });

  test('parks the key at one destination, and not another key that is like it', async ({ fixture }) => {
    const entries = [parking('a', 'Key'), inKey('b', 'key'), parking('c', 'é'), inKey('d', 'e')];
    await withDeadLetters(
      fixture,
      [...entries, labelled('e', { key: 'Key', destination: 'other' })],
      ['a', 'c'],
    );
    assert.deepEqual(await fetchLabels(fixture), ['b', 'd']);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['e']);
  });
}

function parking(label: string, key = 'key'): OutboxEntry {
  return labelled(label, { key, deadLetterPolicy: 'park' });
}

function inKey(label: string, key: string): OutboxEntry {
  return labelled(label, { key });
}
