import assert from 'node:assert/strict';
import { fail, failsOnPurpose } from './failing.js';
import { append, commit, fetchLabels } from '../scripted-hooks.js';
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
