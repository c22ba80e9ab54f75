import assert from 'node:assert/strict';
import { fail, failsOnPurpose, storedValue } from './failing.js';
import { commit, fetchLabels, SampleEvent } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What aggregates record is collected, and what is rolled back forgotten. */
export function aggregateTests(test: DeclareStoreTest): void {
  test('knows the aggregates that were made and loaded in the transaction', async ({ fixture }) => {
    await fixture.unitOfWork.runInTransaction(() => fixture.create('old'));
    await fixture.unitOfWork.runInTransaction(async () => {
      (await fixture.create('new')).happen(SampleEvent.of({ label: 'made' }));
      (await fixture.load('old'))?.happen(SampleEvent.of({ label: 'loaded' }));
    });
    assert.deepEqual((await fetchLabels(fixture)).sort(), ['loaded', 'made']);
  });

  test('writes what changes before the commit, when it is asked to flush', async ({ fixture, hooks }) => {
    hooks.onBeforeCommit = async (transaction) => {
      assert.equal(transaction.canFlush, true);
      for (const aggregate of transaction.aggregates()) (aggregate as unknown as { value: number }).value = 7;
      await transaction.flush();
    };
    await fixture.unitOfWork.runInTransaction(() => fixture.create('1'));
    assert.equal(await storedValue(fixture, '1'), 7);
  });

  test('drops what aggregates record in a savepoint that is rolled back, and nothing else', async ({
    fixture,
  }) => {
    await fixture.unitOfWork.runInTransaction(async () => {
      const aggregate = await fixture.create('1');
      const record = (label: string): void => aggregate.happen(SampleEvent.of({ label }));
      record('a');
      await failsOnPurpose(fixture.savepoint(async () => (record('b'), fail())));
      record('c');
      await fixture.savepoint(async () => record('d'));
      record('e');
    });
    assert.deepEqual(await fetchLabels(fixture), ['a', 'c', 'd', 'e']);
  });

  test('forgets what aggregates record in a transaction that is rolled back', async ({ fixture }) => {
    await fixture.unitOfWork.runInContext(async () => {
      let known: { happen(event: SampleEvent): void } | undefined;
      const work = fixture.unitOfWork.runInTransaction(async () => {
        known = await fixture.create('1');
        known.happen(SampleEvent.of({ label: 'a' }));
        fail();
      });
      await failsOnPurpose(work);
      await commit(fixture, 'b');
    });
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });
}
