import assert from 'node:assert/strict';
import type { DeadLetterSelection } from '@cqrs-outbox/core';
import { labelled, labelOf } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { listLabels, withDeadLetters } from './scene.js';

/** Each differs from the others in more than one way. */
const ENTRIES = [
  labelled('a', { id: 'id-1', key: 'one', name: 'first' }),
  labelled('b', { id: 'id-2', key: 'one', name: 'second' }),
  labelled('c', { id: 'id-3', key: 'two', name: 'first' }),
];

/** Selections, and what of the entries they select. */
export const SELECTIONS: readonly (readonly [
  what: string,
  DeadLetterSelection,
  labels: readonly string[],
])[] = [
  ['all', {}, ['a', 'b', 'c']],
  ['a message', { messageId: 'id-2' }, ['b']],
  ['a key', { key: 'one' }, ['a', 'b']],
  ['an event', { name: 'first' }, ['a', 'c']],
  ['a destination', { destination: 'default' }, ['a', 'b', 'c']],
  ['another destination', { destination: 'other' }, []],
  ['all conditions at once', { key: 'one', name: 'first', destination: 'default' }, ['a']],
  ['conditions that exclude each other', { key: 'two', name: 'second' }, []],
  ['a key in another case', { key: 'One' }, []],
];

/** Each time other copies, since each is written once. */
export function selectableEntries(): typeof ENTRIES {
  return ENTRIES.map((entry) => ({ ...entry }));
}

/** What `list` promises. */
export function deadLetterListTests(test: DeclareStoreTest): void {
  test('is empty at first', async ({ fixture }) => {
    assert.deepEqual(await fixture.deadLetters.list({ limit: 10 }), []);
  });

  test('lists dead letters in the order in which they were given up', async ({ fixture }) => {
    await withDeadLetters(fixture, ['a', 'b', 'c', 'd'], ['c', 'a', 'd']);
    assert.deepEqual(await listLabels(fixture), ['c', 'a', 'd']);
  });

  test('lists a dead letter with the content of its entry', async ({ fixture }) => {
    const headers = { 'x-text': 'é' };
    const entry = labelled('a', { contentEncoding: 'gzip', headers });
    await withDeadLetters(fixture, [entry], ['a']);
    const [letter] = await fixture.deadLetters.list({ limit: 1 });
    assert.equal(letter?.contentEncoding, 'gzip');
    assert.deepEqual(letter.headers, headers);
    assert.ok(entry.payload && letter.payload?.equals(entry.payload));
  });

  test('lists them in parts', async ({ fixture }) => {
    const labels = ['a', 'b', 'c', 'd', 'e'];
    await withDeadLetters(fixture, labels, labels);
    const seen: string[] = [];
    let after: string | undefined;
    for (const expected of [2, 2, 1, 0]) {
      const page = await fixture.deadLetters.list({ limit: 2, ...(after === undefined ? {} : { after }) });
      assert.equal(page.length, expected);
      after = page.at(-1)?.deadLetterId;
      seen.push(...page.map(labelOf));
    }
    assert.deepEqual(seen, labels);
  });

  for (const [what, selection, labels] of SELECTIONS) {
    test(`lists ${what}`, async ({ fixture }) => {
      await withDeadLetters(fixture, selectableEntries(), ['a', 'b', 'c']);
      assert.deepEqual(await listLabels(fixture, selection), labels);
    });
  }
}
