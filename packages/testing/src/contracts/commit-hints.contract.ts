import assert from 'node:assert/strict';
import type { CommitHintsFixture, CommitHintsHarness } from './commit-hints-harness.js';
import { Ends } from './commit-hints/ends.js';
import type { TestFunctions } from './test-functions.js';

const SHORT = '{"all":true}';
const ODD = `{"slots":{"prüfung ☃ 'x' \\\\ \\u0000":[4096,4111]},"delayed":true}`;
/** The most that there can be. */
const LONG = `{"slots":{"x${'ä'.repeat(2_039)}":[]}}`;

/** What every `CommitHints` promises. Hints may be lost, but on a channel that nobody disturbs they should not be. */
export function commitHintsContract(harness: CommitHintsHarness, runner: TestFunctions): void {
  runner.describe('commit hints', () => {
    let fixture: CommitHintsFixture | undefined;
    runner.beforeAll(async () => {
      fixture = await harness.open();
    });
    runner.afterAll(async () => fixture?.close());
    const test = (name: string, body: (ends: Ends) => Promise<void>): void => {
      runner.it(name, async () => {
        if (!fixture) throw new Error('The channel could not be opened.');
        const ends = new Ends(fixture);
        try {
          await body(ends);
        } finally {
          await ends.close();
        }
      });
    };

    test('has no faults, and closes what was never used', async (ends) => {
      const end = await ends.connect();
      assert.deepEqual(end.faults(), []);
    });

    test('brings each hint to all that listen, as it is', async (ends) => {
      assert.equal(Buffer.byteLength(LONG), 4_096);
      const listening = [await ends.connectListener(), await ends.connectListener()];
      const announcing = await ends.connect();
      for (const hint of [SHORT, ODD, LONG]) {
        await announcing.announce(hint);
        for (const { hints } of listening) await hints.hear(hint);
      }
    });

    test('announces also where it listens', async (ends) => {
      const [one, other] = [await ends.connectListener(), await ends.connectListener()];
      await one.end.announce(SHORT);
      await other.hints.hear(SHORT);
      await other.end.announce(ODD);
      await one.hints.hear(ODD);
    });

    test('announces where nobody listens', async (ends) => {
      const announcing = await ends.connect();
      for (const hint of [SHORT, ODD, LONG]) await announcing.announce(hint);
    });

    test('hears nothing any more when it was stopped, and can listen again', async (ends) => {
      const [stopped, staying] = [await ends.connectListener(), await ends.connectListener()];
      const announcing = await ends.connect();
      await stopped.stop();
      await announcing.announce(SHORT);
      await staying.hints.hear(SHORT);
      const again = await ends.listen(stopped.end);
      await announcing.announce(ODD);
      await again.hints.hear(ODD);
      assert.deepEqual(stopped.hints.all, []);
    });

    const { breakConnections } = harness;
    if (!breakConnections) return;

    test('says that it hears nothing any more, and works again after that', async (ends) => {
      const lost = await ends.connectListener();
      const announcing = await ends.connect();
      await announcing.announce(SHORT);
      await lost.hints.hear(SHORT);
      await breakConnections();
      await lost.hints.lose();
      await lost.stop();
      const again = await ends.listen(lost.end);
      // The first may only find out that its connection is gone.
      await announcing.announce(ODD).catch(() => announcing.announce(ODD));
      await again.hints.hear(ODD);
    });
  });
}
