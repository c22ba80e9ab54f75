import { archivingTests } from './archive-store/archiving.js';
import { replayTests } from './archive-store/replaying.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `ArchiveStore` promises; that `add` is fenced is a matter of {@link outboxStoreContract}. */
export function archiveStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('archive store', harness, runner, (test) => {
    archivingTests(test);
    replayTests(test);
  });
}
