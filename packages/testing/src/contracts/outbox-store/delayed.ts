import assert from 'node:assert/strict';
import type { OutboxEntry, PromotedEntries } from '@cqrs-outbox/core';
import { sampleEntry } from '../sample-message.js';
import { SampleRelay } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

const MINUTE_MS = 60_000;

/** What becomes of entries with `availableAt`, and what `promote` promises. */
export function delayTests(test: DeclareStoreTest): void {
  test('counts a delayed entry, and does not show it before it is due', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, await delayed(fixture, 'late', 10), 'a');
    assert.deepEqual(await fetchLabels(fixture), ['a']);
    assert.equal(await fixture.outbox.count('default'), 2);
    const { promoted, nextInMs } = await promote(fixture, relay);
    assert.equal(promoted, 0);
    assertAbout(nextInMs, 10 * MINUTE_MS);
    await fixture.passTime(9 * MINUTE_MS);
    assertAbout((await promote(fixture, relay)).nextInMs, MINUTE_MS);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('has no next one when nothing is delayed', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, 'a');
    assert.deepEqual(await promote(fixture, relay), { promoted: 0, nextInMs: undefined });
  });

  test('puts a delayed entry that is due behind what is there, in the order of its key', async ({
    fixture,
  }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, await delayed(fixture, 'late', 10), 'a');
    await commit(fixture, 'b');
    await fixture.passTime(10 * MINUTE_MS);
    assert.deepEqual(await promote(fixture, relay), { promoted: 1, nextInMs: undefined });
    await commit(fixture, 'c');
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'late', 'c']);
    assert.equal(await fixture.outbox.count('default'), 4);
    assert.deepEqual(await promote(fixture, relay), { promoted: 0, nextInMs: undefined });
  });

  test('promotes the earliest first, and those of one time in the order of their appends', async ({
    fixture,
  }) => {
    const relay = await SampleRelay.start(fixture);
    const now = await fixture.now();
    const [late, early] = [now + 2 * MINUTE_MS, now + MINUTE_MS].map((at) => ({ availableAt: new Date(at) }));
    await commit(fixture, labelled('c', late), labelled('a', early), labelled('d', late));
    await commit(fixture, labelled('b', early));
    await fixture.passTime(3 * MINUTE_MS);
    assert.deepEqual(await promote(fixture, relay, 1), { promoted: 1, nextInMs: 0 });
    assert.deepEqual(await fetchLabels(fixture), ['a']);
    assert.deepEqual(await promote(fixture, relay, 10), { promoted: 3, nextInMs: undefined });
    assert.deepEqual(await fetchLabels(fixture), ['a', 'b', 'c', 'd']);
  });

  test('promotes one whose time was past when it was appended', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(fixture, await delayed(fixture, 'a', -10));
    await promote(fixture, relay);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });

  test('promotes an entry as it was appended, with its retries still to come', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const availableAt = new Date((await fixture.now()) + MINUTE_MS);
    const entry = sampleEntry({
      availableAt,
      headers: { 'x-text': 'é' },
      contentEncoding: 'gzip',
      deadLetterPolicy: 'park',
    });
    await commit(fixture, entry);
    await fixture.passTime(MINUTE_MS);
    await promote(fixture, relay);
    const { position: _, unreadable: __, ...read } = await fetchFirst(fixture);
    const { availableAt: ___, strictOrder: ____, ...kept } = entry;
    assert.deepEqual(read, { ...kept, attempts: 0 });
    assert.equal(await relay.reschedule(await fetchFirst(fixture)), true);
    assert.deepEqual(await fetchAll(fixture), []);
  });

  test('is promoted by the lease of any slot', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    for (const lease of relay.leases) {
      await commit(fixture, await delayed(fixture, `${lease.slot}`, -1));
      await fixture.outbox.promote(lease, 10);
    }
    assert.deepEqual(
      await fetchLabels(fixture),
      relay.leases.map(({ slot }) => `${slot}`),
    );
  });

  test('is promoted once when several do so at the same time', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    const labels = Array.from({ length: 30 }, (_, index) => String(index));
    await commit(fixture, ...(await Promise.all(labels.map((label) => delayed(fixture, label, -1)))));
    await Promise.all(Array.from({ length: 4 }, () => promote(fixture, relay, 10)));
    while ((await promote(fixture, relay, 10)).nextInMs !== undefined);
    assert.deepEqual((await fetchAll(fixture)).map(labelOf).sort(), [...labels].sort());
    assert.equal(await fixture.outbox.count('default'), labels.length);
  });

  test('is rolled back with its transaction', async ({ fixture, hooks }) => {
    const late = await delayed(fixture, 'late', 1);
    hooks.onBeforeCommit = async (transaction) => {
      await transaction.insert(transaction.pending.takeEntries());
      throw new Error('on purpose');
    };
    await assert.rejects(commit(fixture, late, 'a'), /on purpose/);
    assert.equal(await fixture.outbox.count('default'), 0);
  });
}

async function delayed(fixture: StoreFixture, label: string, minutes: number): Promise<OutboxEntry> {
  return labelled(label, { availableAt: new Date((await fixture.now()) + minutes * MINUTE_MS) });
}

async function promote({ outbox }: StoreFixture, relay: SampleRelay, limit = 10): Promise<PromotedEntries> {
  const [lease] = relay.leases;
  assert.ok(lease);
  return outbox.promote(lease, limit);
}

/** Real clocks go on meanwhile. */
function assertAbout(actual: number | undefined, expected: number): void {
  assert.ok(actual !== undefined && actual <= expected && actual > expected - 30_000, String(actual));
}
