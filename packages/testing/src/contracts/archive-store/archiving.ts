import assert from 'node:assert/strict';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled } from '../scripted-hooks.js';
import type { DeclareStoreTest } from '../store-suite.js';
import { publish, publishAll, replay } from './scene.js';

const HOUR_MS = 60 * 60_000;

/** What `add` and `purge` promise. */
export function archivingTests(test: DeclareStoreTest): void {
  test('keeps what was published, and takes nothing out of the outbox itself', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a', 'b');
    await fixture.archive.add([await fetchFirst(fixture)], relay.leases);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b']);
    await relay.remove(await fetchAll(fixture));
    assert.equal(await replay(fixture), 1);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('keeps a message once, as it was published first', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await publish(fixture, relay, 'a');
    await fixture.passTime(HOUR_MS);
    await publish(fixture, relay, 'b');
    await replay(fixture);
    const entries = await fetchAll(fixture);
    await fixture.archive.add(entries, relay.leases);
    await fixture.archive.add(entries, relay.leases);
    await relay.remove(entries);
    assert.equal(await fixture.archive.purge(HOUR_MS / 2, 10), 1);
    assert.equal(await replay(fixture), 1);
    assert.deepEqual(await fetchLabels(fixture), ['b']);
  });

  test('keeps a message for each of its destinations', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const entry = labelled('a');
    await commit(fixture, entry, { ...entry, destination: 'other' });
    await publishAll(fixture, relay);
    await publishAll(fixture, relay, 'other');
    assert.equal(await replay(fixture), 2);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
    assert.deepEqual(await fetchLabels(fixture, 'other'), ['a']);
  });

  test('keeps nothing of what is gone, or of nothing', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    const entries = await fetchAll(fixture);
    await relay.remove(entries);
    await fixture.archive.add(entries, relay.leases);
    await fixture.archive.add([], relay.leases);
    await fixture.archive.add([], []);
    assert.equal(await replay(fixture), 0);
  });

  test('purges by the age of the publication, the oldest first', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await publish(fixture, relay, 'a', 'b', 'c');
    await fixture.passTime(HOUR_MS);
    await publish(fixture, relay, 'd');
    assert.equal(await fixture.archive.purge(2 * HOUR_MS, 10), 0);
    assert.equal(await fixture.archive.purge(HOUR_MS / 2, 2), 2);
    assert.equal(await fixture.archive.purge(HOUR_MS / 2, 2), 1);
    assert.equal(await fixture.archive.purge(HOUR_MS / 2, 2), 0);
    await replay(fixture);
    assert.deepEqual(await fetchLabels(fixture), ['d']);
  });
}
