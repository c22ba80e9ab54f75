import { deadLetterListTests } from './dead-letter-store/listing.js';
import { parkingTests } from './dead-letter-store/parking.js';
import { deadLetterPurgeTests } from './dead-letter-store/purging.js';
import { manyRequeuedTests, requeueTests } from './dead-letter-store/requeueing.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `DeadLetterStore` promises. */
export function deadLetterStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('dead letter store', harness, runner, (test) => {
    deadLetterListTests(test);
    requeueTests(test);
    // Each burial is a commit, and one after the other they take half a minute on a slow disk.
    if (harness.can.openTransactionsAtOnce) manyRequeuedTests(test);
    parkingTests(test);
    deadLetterPurgeTests(test);
  });
}
