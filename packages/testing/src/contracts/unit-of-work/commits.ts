import assert from 'node:assert/strict';
import { fail, failsOnPurpose, storedValue } from './failing.js';
import { append, commit, fetchLabels } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** Entries commit with the business data, or not at all. */
export function commitTests(test: DeclareStoreTest): void {
  test('commits entries with the business data, in the order of their append', async ({ fixture }) => {
    const result = await fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a', 'b');
      await fixture.create('1');
      append(fixture, 'c');
      return 'result';
    });
    assert.equal(result, 'result');
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'c']);
    assert.equal(await storedValue(fixture, '1'), 0);
  });

  test('rolls back entries with the business data, and passes the error on', async ({ fixture, hooks }) => {
    const work = fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await fixture.create('1');
      fail();
    });
    await failsOnPurpose(work);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await storedValue(fixture, '1'), undefined);
    assert.deepEqual(hooks.log, []);
  });

  test('rolls back when the step before the commit throws', async ({ fixture, hooks }) => {
    hooks.onBeforeCommit = fail;
    const work = fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await fixture.create('1');
    });
    await failsOnPurpose(work);
    assert.deepEqual(await fetchLabels(fixture), []);
    assert.equal(await storedValue(fixture, '1'), undefined);
    assert.deepEqual(hooks.log, ['before commit']);
  });

  test('works on after a transaction that failed', async ({ fixture }) => {
    await failsOnPurpose(fixture.unitOfWork.runInTransaction(async () => fail()));
    await commit(fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('calls the hooks once for each transaction, around its commit', async ({ fixture, hooks }) => {
    await fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await fixture.savepoint(async () => append(fixture, 'b'));
      hooks.log.push('work');
    });
    await fixture.unitOfWork.runInTransaction(async () => undefined);
    const expected = [
      'work',
      'before commit',
      'after commit of a,b',
      'before commit',
      'after commit of nothing',
    ];
    assert.deepEqual(hooks.log, expected);
  });

  test('calls the hooks for a transaction that the user has opened', async ({ fixture, hooks }) => {
    const open = fixture.transactionOfUser;
    if (!open) return;
    await open(async () => append(fixture, 'a'));
    assert.deepEqual(hooks.log, ['before commit', 'after commit of a']);
    await failsOnPurpose(open(async () => (append(fixture, 'b'), fail())));
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('takes more entries than one INSERT can hold, in order', async ({ fixture }) => {
    const labels = Array.from({ length: 2_500 }, (_, index) => String(index));
    await commit(fixture, ...labels);
    assert.deepEqual(await fetchLabels(fixture), labels);
  });
}
