import assert from 'node:assert/strict';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreAbilities } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `remove` promises. */
export function removalTests(test: DeclareStoreTest, can: StoreAbilities): void {
  test('removes exactly what was published', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(
      fixture,
      labelled('a'),
      labelled('b'),
      labelled('c', { destination: 'other' }),
      labelled('d'),
    );
    const entries = await fetchAll(fixture);
    assert.equal(await relay.remove(entries.filter((entry) => labelOf(entry) !== 'b')), 2);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['c']);
    assert.equal(await fixture.outbox.count('default'), 1);
  });

  test('removes what is gone already, and nothing at all, without a fault', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    const first = await fetchFirst(fixture);
    assert.equal(await relay.remove([first]), 1);
    assert.equal(await relay.remove([first]), 0);
    assert.equal(await relay.remove([]), 0);
    assert.equal(await fixture.outbox.remove([], []), 0);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('removes a batch of 5000', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, ...Array.from({ length: 5_001 }, (_, index) => String(index)));
    assert.equal(await relay.remove((await fetchAll(fixture)).slice(0, 5_000)), 5_000);
    assert.deepEqual(await fetchLabels(fixture), ['5000']);
  });

  if (!can.openTransactionsAtOnce) return;

  test('takes no part in the transaction of its caller', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    const first = await fetchFirst(fixture);
    const work = fixture.unitOfWork.runInTransaction(async () => {
      await relay.remove([first]);
      throw new Error('on purpose');
    });
    await assert.rejects(work, /on purpose/);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });
}
