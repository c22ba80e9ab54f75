import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { fail, failsOnPurpose } from './failing.js';
import { append, commit, fetchLabels, labelOf } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** Transactions that are open at the same time. */
export function concurrencyTests(test: DeclareStoreTest): void {
  test('keeps transactions that are open at the same time apart', async ({ fixture }) => {
    const gates = [gate(), gate()] as const;
    const run = (label: string, mine: Gate, other: Gate): Promise<void> =>
      fixture.unitOfWork.runInTransaction(async () => {
        append(fixture, label);
        mine.open();
        await other.opened;
        append(fixture, `${label} again`);
        if (label === 'b') fail();
      });
    const first = run('a', gates[0], gates[1]);
    await failsOnPurpose(run('b', gates[1], gates[0]));
    await first;
    assert.deepEqual(await fetchLabels(fixture), ['a', 'a again']);
  });

  test('shows entries to nobody before the commit', async ({ fixture, hooks }) => {
    hooks.onBeforeCommit = async (transaction) => {
      await transaction.insert(transaction.pending.takeEntries());
      assert.deepEqual(await fetchLabels(fixture), []);
    };
    await commit(fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });
}

/** What `lockKeys` promises. */
export function keyLockTests(test: DeclareStoreTest): void {
  test('gives entries of transactions that lock the same key positions in the order of their commits', async ({
    fixture,
    hooks,
  }) => {
    const order: string[] = [];
    hooks.onBeforeCommit = async (transaction) => {
      const entries = transaction.pending.takeEntries();
      await transaction.lockKeys(['key']);
      order.push(...entries.map(labelOf));
      // Time for the others to overtake, if they can.
      await new Promise((resolve) => setImmediate(resolve));
      await transaction.insert(entries);
    };
    await Promise.all(Array.from({ length: 10 }, (_, index) => commit(fixture, String(index))));
    assert.equal(order.length, 10);
    assert.deepEqual(await fetchLabels(fixture), order);
  });

  for (const [how, end] of [
    ['committed', async () => undefined],
    ['rolled back', async () => fail()],
  ] as const) {
    test(`locks a key until its transaction is ${how}`, async ({ fixture, hooks }) => {
      const detached = AsyncLocalStorage.snapshot();
      let second: Promise<void> | undefined;
      let isSecondDone = false;
      hooks.onBeforeCommit = async (transaction) => {
        await transaction.lockKeys(['b', 'a', 'b']);
        if (second) return;
        second = detached(() => commit(fixture, 'second')).then(() => void (isSecondDone = true));
        for (let round = 0; round < 20; round++) await fixture.load('no such row');
        assert.equal(isSecondDone, false, 'it did not wait');
        await end();
      };
      const first = commit(fixture, 'first');
      await (how === 'committed' ? first : failsOnPurpose(first));
      await second;
      assert.deepEqual(await fetchLabels(fixture), how === 'committed' ? ['first', 'second'] : ['second']);
    });
  }

  test('locks keys in one order, so that nobody waits for ever', async ({ fixture, hooks }) => {
    let turn = 0;
    hooks.onBeforeCommit = async (transaction) => {
      const isFirst = turn++ === 0;
      if (!isFirst) return transaction.lockKeys(turn % 2 === 0 ? ['a', 'b', 'c'] : ['c', 'b', 'a']);
      // Meanwhile the others take what comes before b for each of them, and then wait.
      await transaction.lockKeys(['b']);
      for (let round = 0; round < 20; round++) await fixture.load('no such row');
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => commit(fixture, String(index))));
    assert.equal((await fetchLabels(fixture)).length, 16);
  });

  test('locks no keys when there are none', async ({ fixture, hooks }) => {
    hooks.onBeforeCommit = (transaction) => transaction.lockKeys([]);
    await commit(fixture, 'a');
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });
}

/** Positions follow the commits of transactions that wait for each other. */
export function orderingTests(test: DeclareStoreTest): void {
  test('gives entries of transactions that lock the same row positions in the order of their commits', async ({
    fixture,
  }) => {
    await fixture.unitOfWork.runInTransaction(() => fixture.create('1'));
    const order: string[] = [];
    const bump = (label: string): Promise<void> =>
      fixture.unitOfWork.runInTransaction(async () => {
        // Before the row is locked: the position must not be drawn yet.
        append(fixture, label);
        await fixture.increment('1');
        order.push(label);
      });
    await Promise.all(Array.from({ length: 20 }, (_, index) => bump(String(index))));
    assert.deepEqual(await fetchLabels(fixture), order);
  });
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
