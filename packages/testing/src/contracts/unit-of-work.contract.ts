import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';
import { afterCommitTests } from './unit-of-work/after-commit.js';
import { aggregateTests } from './unit-of-work/aggregates.js';
import { commitTests } from './unit-of-work/commits.js';
import { concurrencyTests, keyLockTests, orderingTests } from './unit-of-work/concurrency.js';
import { contextTests } from './unit-of-work/contexts.js';
import { partTests } from './unit-of-work/parts.js';
import { savepointTests } from './unit-of-work/savepoints.js';

/** What every `UnitOfWork` promises. */
export function unitOfWorkContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('unit of work', harness, runner, (test) => {
    commitTests(test);
    savepointTests(test);
    aggregateTests(test);
    contextTests(test);
    afterCommitTests(test);
    partTests(test);
    if (harness.can.openTransactionsAtOnce) {
      concurrencyTests(test);
      keyLockTests(test);
    }
    if (harness.can.lockRows) orderingTests(test);
  });
}
