import assert from 'node:assert/strict';
import { commit, fetchLabels, fetchOne, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { listLabels, withDeadLetters } from './scene.js';

const HOUR_MS = 60 * 60_000;

/** What `purge` promises. */
export function deadLetterPurgeTests(test: DeclareStoreTest): void {
  test('purges dead letters by their age, the oldest first', async ({ fixture }) => {
    const relay = await withDeadLetters(fixture, ['a', 'b', 'c', 'd'], ['c', 'a', 'b']);
    await fixture.passTime(HOUR_MS);
    await relay.bury(await fetchOne(fixture, 'd'));
    assert.equal(await fixture.deadLetters.purge(2 * HOUR_MS, 10), 0);
    assert.equal(await fixture.deadLetters.purge(HOUR_MS / 2, 2), 2);
    assert.deepEqual(await listLabels(fixture), ['b', 'd']);
    assert.equal(await fixture.deadLetters.purge(HOUR_MS / 2, 2), 1);
    assert.equal(await fixture.deadLetters.purge(HOUR_MS / 2, 2), 0);
    assert.deepEqual(await listLabels(fixture), ['d']);
  });

  test('purges none that parks a key, however old', async ({ fixture }) => {
    await withDeadLetters(fixture, [labelled('a', { deadLetterPolicy: 'park' }), 'b'], ['a']);
    await fixture.passTime(HOUR_MS);
    assert.equal(await fixture.deadLetters.purge(0, 10), 0);
    assert.deepEqual(await listLabels(fixture), ['a']);
    assert.deepEqual(await fetchLabels(fixture), []);
  });

  test('purges past those that park a key', async ({ fixture }) => {
    const parking = ['a', 'b'].map((label) => labelled(label, { key: label, deadLetterPolicy: 'park' }));
    const relay = await withDeadLetters(fixture, parking, ['a', 'b']);
    await commit(fixture, 'c');
    await relay.bury(await fetchOne(fixture, 'c'));
    await fixture.passTime(HOUR_MS);
    assert.equal(await fixture.deadLetters.purge(0, 1), 1);
    assert.deepEqual(await listLabels(fixture), ['a', 'b']);
  });
}
