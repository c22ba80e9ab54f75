import type { TestFunctions } from './test-functions.js';
import type { TransportFixture, TransportHarness } from './transport-harness.js';
import { contentTests } from './transport/content.js';
import { orderTests } from './transport/order.js';
import { outageTests } from './transport/outage.js';
import { stoppingTests } from './transport/stopping.js';

/** What every `Transport` promises. */
export function transportContract(harness: TransportHarness, runner: TestFunctions): void {
  runner.describe('transport', () => {
    let fixture: TransportFixture | undefined;
    const opened = (): TransportFixture => {
      if (fixture) return fixture;
      throw new Error('The transport could not be opened.');
    };
    runner.beforeAll(async () => {
      fixture = await harness.open();
    });
    runner.afterAll(async () => {
      // Twice: a close that was cut short is tried again.
      await fixture?.transport.close();
      await fixture?.transport.close();
      await fixture?.close();
    });
    contentTests((name, body) => runner.it(name, () => body(opened())), harness);
    orderTests((name, body) => runner.it(name, () => body(opened())));
    stoppingTests((name, body) => runner.it(name, () => body(opened())));
    if (harness.openAt) outageTests(harness, harness.openAt, runner);
  });
}
