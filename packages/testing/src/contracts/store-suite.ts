import { ScriptedHooks } from './scripted-hooks.js';
import type { StoreFixture, StoreHarness } from './store-harness.js';
import type { TestFunctions } from './test-functions.js';

/** What each test of a store's suite gets. */
export interface StoreTest {
  readonly fixture: StoreFixture;
  readonly hooks: ScriptedHooks;
}

/** Declares a test. */
export type DeclareStoreTest = (name: string, body: (test: StoreTest) => Promise<void>) => void;

/** Gives each test an empty store with hooks. */
export function storeSuite(
  name: string,
  harness: StoreHarness,
  runner: TestFunctions,
  declare: (test: DeclareStoreTest) => void,
): void {
  runner.describe(name, () => {
    const hooks = new ScriptedHooks();
    let fixture: StoreFixture | undefined;
    const opened = (): StoreFixture => {
      if (fixture) return fixture;
      throw new Error('The store could not be opened.');
    };
    const reopen = async (): Promise<void> => {
      await fixture?.close();
      fixture = undefined;
      fixture = await harness.open();
      fixture.unitOfWork.setHooks(hooks);
    };
    runner.beforeAll(reopen);
    runner.beforeEach(async () => {
      hooks.reset();
      const { clear } = opened();
      await (clear ?? reopen)();
    });
    runner.afterAll(async () => fixture?.close());
    declare((testName, body) => runner.it(testName, () => body({ fixture: opened(), hooks })));
  });
}
