import { deadLetterTests } from './inbox-store/dead-letters.js';
import { openRecordTests, purgeTests } from './inbox-store/purging.js';
import { concurrentRecordTests, recordTests } from './inbox-store/recording.js';
import { setAsideTests } from './inbox-store/setting-aside.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `InboxStore` promises. */
export function inboxStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('inbox store', harness, runner, (test) => {
    recordTests(test);
    concurrentRecordTests(test);
    setAsideTests(test);
    deadLetterTests(test);
    purgeTests(test);
    if (harness.can.openTransactionsAtOnce) openRecordTests(test);
  });
}
