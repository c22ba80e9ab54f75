import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { append, fetchLabels } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { fail } from './failing.js';

/** What `runInParts` promises. */
export function partTests(test: DeclareStoreTest): void {
  test('commits all parts at once, in their order, and tells of the end of each', async ({
    fixture,
    hooks,
  }) => {
    const result = await fixture.unitOfWork.runInParts(async (runPart) => {
      const first = await runPart(async () => {
        append(fixture, 'a');
        return 1;
      });
      await runPart(async () => append(fixture, 'b'));
      return first;
    });
    assert.equal(result, 1);
    assert.deepEqual(hooks.log, ['part', 'part', 'before commit', 'after commit of a,b']);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
  });

  test('rolls all parts back when one rejects', async ({ fixture }) => {
    const work = fixture.unitOfWork.runInParts(async (runPart) => {
      await runPart(async () => append(fixture, 'a'));
      await runPart(async () => fail());
    });
    await assert.rejects(work);
    assert.deepEqual(await fetchLabels(fixture), []);
  });

  test('runs a part in the asynchronous context that it is called in', async ({ fixture }) => {
    const { unitOfWork } = fixture;
    const inCallersContext = AsyncLocalStorage.snapshot();
    await unitOfWork.runInParts(async (runPart) => {
      await inCallersContext(async () => {
        assert.equal(unitOfWork.current(), undefined);
        await runPart(async () => append(fixture, 'a'));
      });
    });
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });
}
