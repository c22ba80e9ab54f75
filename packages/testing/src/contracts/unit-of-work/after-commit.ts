import assert from 'node:assert/strict';
import { append, commit, fetchLabels } from '../scripted-hooks.js';
import type { DeclareStoreTest, StoreTest } from '../store-suite.js';
import { fail, failsOnPurpose, storedValue } from './failing.js';

/** What the step after the commit gets, and where it runs. */
export function afterCommitTests(test: DeclareStoreTest): void {
  test('has committed before the step after the commit, and waits for that step', async ({
    fixture,
    hooks,
  }) => {
    hooks.onAfterCommit = (transaction) =>
      transaction.runOutside(async () => {
        assert.deepEqual(await fetchLabels(fixture), ['a']);
        hooks.log.push('step');
      });
    await commit(fixture, 'a');
    hooks.log.push('caller');
    assert.deepEqual(hooks.log, ['before commit', 'after commit of a', 'step', 'caller']);
  });

  test('gives both steps the same pending events', async ({ fixture, hooks }) => {
    const seen: unknown[] = [];
    hooks.onBeforeCommit = ({ pending }) => void seen.push(pending);
    hooks.onAfterCommit = ({ pending }) => void seen.push(pending);
    await commit(fixture, 'a');
    assert.equal(seen.length, 2);
    assert.equal(seen[0], seen[1]);
  });

  test('runs work after the commit outside of the transaction, in a fresh context', async ({
    fixture,
    hooks,
  }) => {
    let made: unknown;
    once(hooks, (transaction) =>
      transaction.runOutside(async () => {
        assert.equal(fixture.unitOfWork.current(), undefined);
        const loaded = await fixture.load('1');
        assert.equal(loaded?.value, 0);
        assert.notEqual(loaded, made);
        await fixture.unitOfWork.runInContext(async () => assert.notEqual(await fixture.load('1'), loaded));
      }),
    );
    await fixture.unitOfWork.runInTransaction(async () => (made = await fixture.create('1')));
    assert.deepEqual(hooks.log, ['before commit', 'after commit of nothing']);
  });

  test('opens a transaction of its own in work after the commit', async ({ fixture, hooks }) => {
    once(hooks, (transaction) =>
      transaction.runOutside(async () => {
        await fixture.unitOfWork.runInTransaction(async () => append(fixture, 'b'));
        await failsOnPurpose(
          fixture.unitOfWork.runInTransaction(async () => {
            append(fixture, 'c');
            await fixture.create('2');
            fail();
          }),
        );
      }),
    );
    await fixture.unitOfWork.runInTransaction(async () => {
      append(fixture, 'a');
      await fixture.create('1');
    });
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
    assert.equal(await storedValue(fixture, '1'), 0);
    assert.equal(await storedValue(fixture, '2'), undefined);
  });

  test('runs work after the commit of a transaction that the user has opened outside of it too', async ({
    fixture,
    hooks,
  }) => {
    const open = fixture.transactionOfUser;
    if (!open) return;
    once(hooks, (transaction) =>
      transaction.runOutside(async () => {
        assert.equal(fixture.unitOfWork.current(), undefined);
        await commit(fixture, 'b');
      }),
    );
    await open(async () => append(fixture, 'a'));
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
  });
}

/** After the first commit, and not after those that the work itself makes. */
function once(hooks: StoreTest['hooks'], work: StoreTest['hooks']['onAfterCommit']): void {
  hooks.onAfterCommit = (transaction) => {
    hooks.onAfterCommit = () => undefined;
    return work(transaction);
  };
}
