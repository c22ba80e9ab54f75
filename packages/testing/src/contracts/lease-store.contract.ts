import { expiryTests } from './lease-store/expiry.js';
import { ownershipTests } from './lease-store/ownership.js';
import { registrationTests } from './lease-store/registration.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `LeaseStore` promises. */
export function leaseStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('lease store', harness, runner, (test) => {
    registrationTests(test);
    expiryTests(test);
    ownershipTests(test);
  });
}
