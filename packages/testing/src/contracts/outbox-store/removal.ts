import assert from 'node:assert/strict';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreAbilities } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `remove` promises. */
export function removalTests(test: DeclareStoreTest, can: StoreAbilities): void {
  test('removes exactly what was published', async ({ fixture }) => {
    await commit(
      fixture,
      labelled('a'),
      labelled('b'),
      labelled('c', { destination: 'other' }),
      labelled('d'),
    );
    const entries = await fetchAll(fixture);
    await fixture.outbox.remove(entries.filter((entry) => labelOf(entry) !== 'b'));
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['c']);
    assert.equal(await fixture.outbox.count('default'), 1);
  });

  test('removes what is gone already, and nothing at all, without a fault', async ({ fixture }) => {
    await commit(fixture, 'a', 'b');
    const first = await fetchFirst(fixture);
    await fixture.outbox.remove([first]);
    await fixture.outbox.remove([first]);
    await fixture.outbox.remove([]);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('removes a batch of 5000', async ({ fixture }) => {
    await commit(fixture, ...Array.from({ length: 5_001 }, (_, index) => String(index)));
    await fixture.outbox.remove((await fetchAll(fixture)).slice(0, 5_000));
    assert.deepEqual(await fetchLabels(fixture), ['5000']);
  });

  if (!can.openTransactionsAtOnce) return;

  test('takes no part in the transaction of its caller', async ({ fixture }) => {
    await commit(fixture, 'a', 'b');
    const first = await fetchFirst(fixture);
    const work = fixture.unitOfWork.runInTransaction(async () => {
      await fixture.outbox.remove([first]);
      throw new Error('on purpose');
    });
    await assert.rejects(work, /on purpose/);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });
}
