import assert from 'node:assert/strict';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `bury` promises. */
export function deadLetterTests(test: DeclareStoreTest): void {
  test('moves an entry to the dead letters, with the reason', async ({ fixture }) => {
    const payload = Buffer.from([0, 255]);
    const entry = labelled('', { payload });
    await commit(fixture, entry, labelled('b', { key: 'other' }));
    await fixture.outbox.bury(await fetchFirst(fixture), { attempts: 3, error: "it isn't taken" });
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal(await fixture.outbox.count('default'), 1);
    assert.deepEqual(await fixture.deadLetters(), [
      { messageId: entry.id, destination: 'default', payload, attempts: 3, error: "it isn't taken" },
    ]);
  });

  test('lets the rest of the key go on, without the attempts of the buried entry', async ({ fixture }) => {
    await commit(fixture, 'a', 'b');
    await fixture.outbox.reschedule(await fetchFirst(fixture), 1_000, 'refused');
    await fixture.passTime(1_000);
    await fixture.outbox.bury(await fetchFirst(fixture), { attempts: 2, error: 'refused' });
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.equal((await fetchAll(fixture))[0]?.attempts, 0);
  });

  test('buries nothing that is gone already', async ({ fixture }) => {
    await commit(fixture, 'a');
    const entry = await fetchFirst(fixture);
    await fixture.outbox.remove([entry]);
    await fixture.outbox.bury(entry, { attempts: 1, error: 'refused' });
    assert.deepEqual(await fixture.deadLetters(), []);
  });

  test('buries a tombstone, with any text of an error', async ({ fixture }) => {
    await commit(fixture, labelled('', { payload: null }));
    const error = `\u0000 ' \\ \u{1F600} ${'x'.repeat(100_000)}`;
    await fixture.outbox.bury(await fetchFirst(fixture), { attempts: 1, error });
    const [letter] = await fixture.deadLetters();
    assert.equal(letter?.payload, null);
    assert.ok(letter.error.length >= 1_000, 'the error was cut too short');
  });
}
