import assert from 'node:assert/strict';
import { rejectedMessage } from './inbox-store/rejected-message.js';
import { keyInSlot, SAMPLE_SLOTS } from './sample-message.js';
import { DELAY_MS, SampleRelay } from './sample-relay.js';
import { commit, fetchFirst, fetchOne, labelled } from './scripted-hooks.js';
import type { StoreHarness } from './store-harness.js';
import { storeSuite, type DeclareStoreTest } from './store-suite.js';
import type { TestFunctions } from './test-functions.js';

/** What every `StatusStore` promises. */
export function statusStoreContract(harness: StoreHarness, runner: TestFunctions): void {
  storeSuite('status store', harness, runner, (test) => {
    backlogTests(test);
    parkedKeyTests(test);
  });
}

function backlogTests(test: DeclareStoreTest): void {
  test('tells of nothing when nothing is there', async ({ fixture }) => {
    const { openTransaction: _, ...figures } = await fixture.status.read();
    assert.deepEqual(figures, {
      backlogs: [],
      parkedKeys: [],
      parkedKeyCount: 0,
      delayed: new Map(),
      deadLetters: new Map(),
      inboxDeadLetters: 0,
    });
  });

  test('counts what waits in each slot for each destination, and tells how old the oldest is', async ({
    fixture,
  }) => {
    const now = await fixture.now();
    const [first, second] = SAMPLE_SLOTS;
    const entryOf = (
      slot: number | undefined,
      destination: string,
      ageMs: number,
    ): ReturnType<typeof labelled> =>
      labelled('', { key: keyInSlot(slot), destination, occurredAt: new Date(now - ageMs) });
    await commit(
      fixture,
      entryOf(first, 'default', 3_600_000),
      entryOf(first, 'default', 7_200_000),
      entryOf(second, 'default', 600_000),
      entryOf(second, 'other', 1_200_000),
    );
    const { backlogs } = await fixture.status.read();
    const byPlace = backlogs.map(({ destination, slot, pending, oldestAgeMs }) => ({
      destination,
      slot,
      pending,
      minutes: Math.round(oldestAgeMs / 60_000),
    }));
    assert.deepEqual(
      byPlace.sort((a, b) => a.slot - b.slot || a.minutes - b.minutes),
      [
        { destination: 'default', slot: first, pending: 2, minutes: 120 },
        { destination: 'default', slot: second, pending: 1, minutes: 10 },
        { destination: 'other', slot: second, pending: 1, minutes: 20 },
      ],
    );
  });

  test('tells of entries that have no slot yet', async ({ fixture }) => {
    await commit(fixture, labelled('a', { slot: 0 }));
    const { backlogs } = await fixture.status.read();
    assert.deepEqual(
      backlogs.map(({ slot, pending }) => [slot, pending]),
      [[0, 1]],
    );
  });

  test('counts delayed entries and dead letters of each destination', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const availableAt = new Date((await fixture.now()) + 3_600_000);
    await commit(
      fixture,
      ...['a', 'b'].map((label) => labelled(label, { availableAt })),
      labelled('c', { availableAt, destination: 'other' }),
      'd',
    );
    await relay.bury(await fetchFirst(fixture));
    await fixture.inbox.setAside(rejectedMessage({}));
    const { delayed, deadLetters, inboxDeadLetters, backlogs } = await fixture.status.read();
    assert.equal(inboxDeadLetters, 1);
    assert.deepEqual([...delayed].sort(), [
      ['default', 2],
      ['other', 1],
    ]);
    assert.deepEqual([...deadLetters], [['default', 1]]);
    assert.deepEqual(backlogs, []);
  });
}

function parkedKeyTests(test: DeclareStoreTest): void {
  test('names the keys that wait for a retry', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, labelled('a', { key: 'a' }), labelled('b', { key: 'b' }));
    await relay.reschedule(await fetchOne(fixture, 'a'), 0, 'first');
    await relay.reschedule(await fetchOne(fixture, 'a'), DELAY_MS, 'second');
    const { parkedKeys, parkedKeyCount } = await fixture.status.read();
    assert.equal(parkedKeyCount, 1);
    const [{ retryInMs, ...parked }, ...others] = parkedKeys as [(typeof parkedKeys)[0]];
    assert.deepEqual(others, []);
    assert.deepEqual(parked, { destination: 'default', key: 'a', attempts: 2, error: 'second' });
    assert.ok(retryInMs !== undefined && retryInMs <= DELAY_MS && retryInMs > DELAY_MS / 2, `${retryInMs}`);
    await fixture.passTime(DELAY_MS);
    await relay.remove([await fetchOne(fixture, 'a')]);
    assert.equal((await fixture.status.read()).parkedKeyCount, 0);
  });

  test('names the keys that a dead letter parks', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(
      fixture,
      labelled('a', { key: 'a', deadLetterPolicy: 'park' }),
      labelled('b', { key: 'b' }),
      labelled('c', { key: 'a' }),
    );
    for (const label of ['a', 'b']) await relay.bury(await fetchOne(fixture, label), `of ${label}`);
    const { parkedKeys, parkedKeyCount } = await fixture.status.read();
    assert.equal(parkedKeyCount, 1);
    assert.deepEqual(parkedKeys, [
      { destination: 'default', key: 'a', attempts: 1, error: 'of a', retryInMs: undefined },
    ]);
    await fixture.deadLetters.discard({});
    assert.equal((await fixture.status.read()).parkedKeyCount, 0);
  });

  test('counts all parked keys, and names the first 100', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const labels = Array.from({ length: 103 }, (_, index) => `key ${index}`);
    await commit(fixture, ...labels.map((label) => labelled(label, { key: label })));
    for (const label of labels) await relay.reschedule(await fetchOne(fixture, label));
    const { parkedKeys, parkedKeyCount } = await fixture.status.read();
    assert.deepEqual([parkedKeys.length, parkedKeyCount], [100, 103]);
  });
}
