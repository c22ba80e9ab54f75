import assert from 'node:assert/strict';
import { fail, failsOnPurpose, storedValue } from './failing.js';
import { append, fetchLabels, SampleEvent } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** A savepoint that is rolled back takes its own along, and nothing else. */
export function savepointTests(test: DeclareStoreTest): void {
  test('drops the entries of a savepoint that is rolled back, and no others', async ({ fixture }) => {
    await fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await failsOnPurpose(fixture.savepoint(async () => (append(fixture, 'b'), fail())));
      append(fixture, 'c');
      await fixture.savepoint(async () => append(fixture, 'd'));
      append(fixture, 'e');
    });
    assert.deepEqual(await fetchLabels(fixture), ['a', 'c', 'd', 'e']);
  });

  test('drops a released savepoint with the one around it', async ({ fixture }) => {
    await fixture.unitOfWork.runInTransaction(async () => {
      const outer = fixture.savepoint(async () => {
        await fixture.savepoint(async () => append(fixture, 'a'));
        append(fixture, 'b');
        fail();
      });
      await failsOnPurpose(outer);
      append(fixture, 'c');
    });
    assert.deepEqual(await fetchLabels(fixture), ['c']);
  });

  test('undoes the business data of a savepoint that is rolled back', async ({ fixture }) => {
    await fixture.unitOfWork.runInTransaction(() => fixture.create('1'));
    await fixture.unitOfWork.runInTransaction(async () => {
      await fixture.increment('1');
      await failsOnPurpose(fixture.savepoint(async () => (await fixture.increment('1'), fail())));
    });
    assert.equal(await storedValue(fixture, '1'), 1);
  });

  test('runs a transaction inside of another one as a savepoint', async ({ fixture, hooks }) => {
    const { unitOfWork } = fixture;
    await unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await unitOfWork.runInTransaction(async () => append(fixture, 'b'));
      await failsOnPurpose(unitOfWork.runInTransaction(async () => (append(fixture, 'c'), fail())));
      append(fixture, 'd');
    });
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'd']);
    assert.deepEqual(hooks.log, ['before commit', 'after commit of a,b,d']);
  });

  test('commits nothing of a transaction inside of one that is rolled back', async ({ fixture }) => {
    const { unitOfWork } = fixture;
    const work = unitOfWork.runInTransaction(async () => {
      await unitOfWork.runInTransaction(async () => append(fixture, 'a'));
      fail();
    });
    await failsOnPurpose(work);
    assert.deepEqual(await fetchLabels(fixture), []);
  });

  test('collects what aggregates of a transaction inside of another one record', async ({ fixture }) => {
    const { unitOfWork } = fixture;
    await unitOfWork.runInTransaction(async () => {
      await unitOfWork.runInTransaction(async () =>
        (await fixture.create('1')).happen(SampleEvent.of({ label: 'inside' })),
      );
      append(fixture, 'outside');
    });
    assert.deepEqual(await fetchLabels(fixture), ['inside', 'outside']);
  });

  test('drops a released savepoint with its transaction', async ({ fixture }) => {
    const work = fixture.unitOfWork.runInTransaction(async () => {
      await fixture.savepoint(async () => append(fixture, 'a'));
      fail();
    });
    await failsOnPurpose(work);
    assert.deepEqual(await fetchLabels(fixture), []);
  });
}
