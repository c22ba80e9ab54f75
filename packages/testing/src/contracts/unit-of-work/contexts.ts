import assert from 'node:assert/strict';
import { commit, fetchLabels } from '../scripted-hooks.js';
import { fail } from './failing.js';
import type { DeclareStoreTest, StoreTest } from '../store-suite.js';

/** What is current, and what a context knows. */
export function contextTests(test: DeclareStoreTest): void {
  test('has no current transaction outside of one', async ({ fixture: { unitOfWork } }) => {
    assert.equal(unitOfWork.current(), undefined);
    assert.equal(await unitOfWork.runInContext(async () => unitOfWork.current()), undefined);
    await unitOfWork.runInTransaction(async () => undefined);
    assert.equal(unitOfWork.current(), undefined);
  });

  test('has no current transaction in work that goes on after the end', async ({
    fixture: { unitOfWork },
  }) => {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let straggler: Promise<unknown> = Promise.resolve();
    await unitOfWork.runInTransaction(async () => {
      straggler = ended.then(() => unitOfWork.current());
    });
    end();
    assert.equal(await straggler, undefined);
  });

  test('has no current transaction when its entries were taken for the insert', async ({
    fixture,
    hooks,
  }) => {
    const { unitOfWork } = fixture;
    hooks.onBeforeCommit = async (transaction) => {
      await transaction.run(async () => assert.equal(unitOfWork.current(), transaction.pending));
      await transaction.insert(transaction.pending.takeEntries());
      assert.equal(await transaction.run(async () => unitOfWork.current()), undefined);
    };
    await commit(fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('has the innermost savepoint as its current transaction', async ({ fixture }) => {
    const { unitOfWork } = fixture;
    await unitOfWork.runInTransaction(async () => {
      const outer = unitOfWork.current();
      assert.ok(outer);
      await fixture.savepoint(async () => {
        assert.ok(unitOfWork.current());
        assert.notEqual(unitOfWork.current(), outer);
      });
      await fixture.savepoint(async () => fail()).catch(() => undefined);
      assert.equal(unitOfWork.current(), outer);
    });
  });

  test('reads through the transaction in a context inside of it', async ({ fixture }) => {
    const { unitOfWork } = fixture;
    await unitOfWork.runInTransaction(() => fixture.create('1'));
    await unitOfWork.runInTransaction(async () => {
      await fixture.increment('1');
      const outer = unitOfWork.current();
      await unitOfWork.runInContext(async () => {
        assert.equal(unitOfWork.current(), outer);
        assert.equal((await fixture.load('1'))?.value, 1);
      });
    });
  });

  test('keeps the aggregates of a context inside of a transaction out of its commit', async ({
    fixture,
    hooks,
  }) => {
    await fixture.unitOfWork.runInTransaction(() => fixture.create('1'));
    const seen = watchAggregates(hooks);
    await fixture.unitOfWork.runInTransaction(async () => {
      await fixture.unitOfWork.runInContext(() => fixture.load('1'));
    });
    assert.deepEqual(seen, []);
  });

  test('begins a transaction in a fresh context', async ({ fixture, hooks }) => {
    await fixture.unitOfWork.runInTransaction(() => fixture.create('1'));
    const seen = watchAggregates(hooks);
    await fixture.unitOfWork.runInContext(async () => {
      await fixture.load('1');
      await fixture.unitOfWork.runInTransaction(async () => undefined);
    });
    assert.deepEqual(seen, []);
  });
}

function watchAggregates(hooks: StoreTest['hooks']): unknown[] {
  const seen: unknown[] = [];
  hooks.onBeforeCommit = (transaction) => void seen.push(...transaction.aggregates());
  return seen;
}
