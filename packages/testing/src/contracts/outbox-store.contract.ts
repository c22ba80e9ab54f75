import type { TestFunctions } from './test-functions.js';
import { deadLetterTests } from './outbox-store/dead-letters.js';
import { readingTests } from './outbox-store/reading.js';
import { removalTests } from './outbox-store/removal.js';
import { retryTests } from './outbox-store/retries.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';

/** What every `OutboxStore` promises. */
export function outboxStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('outbox store', harness, runner, (test) => {
    readingTests(test);
    removalTests(test, harness.can);
    retryTests(test);
    deadLetterTests(test);
  });
}
