import { damageTests } from './outbox-store/damage.js';
import { deadLetterTests } from './outbox-store/dead-letters.js';
import { delayTests } from './outbox-store/delayed.js';
import { fencingTests } from './outbox-store/fencing.js';
import { readingTests } from './outbox-store/reading.js';
import { removalTests } from './outbox-store/removal.js';
import { retryTests } from './outbox-store/retries.js';
import { slotTests } from './outbox-store/slots.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `OutboxStore` promises. */
export function outboxStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('outbox store', harness, runner, (test) => {
    readingTests(test);
    slotTests(test);
    removalTests(test, harness.can);
    retryTests(test);
    deadLetterTests(test);
    damageTests(test);
    delayTests(test);
    fencingTests(test);
  });
}
