import assert from 'node:assert/strict';
import type { Lease, StoredEntry } from '@cqrs-outbox/core';
import { keyInSlot, SAMPLE_SLOTS } from '../sample-message.js';
import { SampleRelay, takeFree } from '../sample-relay.js';
import { commit, fetchAll, fetchFirst, fetchLabels, labelled, labelOf } from '../scripted-hooks.js';
import type { StoreFixture } from '../store-harness.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What a write is tried on: an entry in the outbox, a delayed one that is due, and a relay that has all slots. */
interface Scene {
  readonly fixture: StoreFixture;
  readonly relay: SampleRelay;
  readonly entry: StoredEntry;
}

/** The relay's writes. @returns whether it says to have had an effect, if it says so at all */
type Write = (scene: Scene, lease: Lease) => Promise<boolean | undefined>;

const FAILURE = { error: 'refused', stack: undefined };

const WRITES: Readonly<Record<string, Write>> = {
  remove: async ({ fixture, entry }, lease) => (await fixture.outbox.remove([entry], [lease])) > 0,
  reschedule: ({ fixture, entry }, lease) => fixture.outbox.reschedule(entry, 60_000, FAILURE, lease),
  bury: ({ fixture, entry }, lease) => fixture.outbox.bury(entry, FAILURE, lease),
  promote: async ({ fixture }, lease) => (await fixture.outbox.promote(lease, 10)).promoted > 0,
  archive: async ({ fixture, entry }, lease) => {
    await fixture.archive.add([entry], [lease]);
    return undefined;
  },
};

/** How a lease can be none. */
const LOSSES: Readonly<Record<string, (scene: Scene, lease: Lease) => Promise<Lease>>> = {
  'has another owner': async (_, lease) => ({ ...lease, owner: 'nobody' }),
  'has an earlier epoch': async (_, lease) => ({ ...lease, epoch: lease.epoch - 1 }),
  'has a later epoch': async (_, lease) => ({ ...lease, epoch: lease.epoch + 1 }),
  'is of a slot that was given back': async ({ fixture }, lease) => {
    await fixture.leases.release(lease);
    return lease;
  },
  'is older than one that its own instance has': async ({ fixture, relay }, lease) => {
    await fixture.leases.release(lease);
    await takeFree(fixture, relay.instance);
    return lease;
  },
  'was taken over from an instance that has withdrawn': async ({ fixture, relay }, lease) => {
    await fixture.leases.withdraw(relay.instance);
    await SampleRelay.start(fixture, 'successor');
    return lease;
  },
  'is of a slot whose row was deleted': async ({ fixture }, lease) => {
    await fixture.deleteSlot(lease.slot);
    return lease;
  },
};

/** Which leases are good for which writes. */
export function fencingTests(test: DeclareStoreTest): void {
  for (const [write, run] of Object.entries(WRITES)) {
    for (const [how, lose] of Object.entries(LOSSES)) {
      test(`fences ${write}: it does nothing with a lease that ${how}`, async ({ fixture }) => {
        const scene = await setScene(fixture);
        const lease = await lose(scene, scene.relay.leaseOf(scene.entry));
        assert.notEqual(await run(scene, lease), true);
        await assertUntouched(scene);
      });
    }

    test(`lets ${write} pass with the lease of a slot that nobody has taken over yet`, async ({
      fixture,
    }) => {
      const scene = await setScene(fixture);
      await fixture.leases.withdraw(scene.relay.instance);
      assert.notEqual(await run(scene, scene.relay.leaseOf(scene.entry)), false);
      await assert.rejects(assertUntouched(scene), assert.AssertionError);
    });

    if (write === 'promote') continue;

    test(`fences ${write}: it does nothing with the lease of another slot`, async ({ fixture }) => {
      const scene = await setScene(fixture);
      const other = scene.relay.leases.find(({ slot }) => slot !== scene.entry.slot);
      assert.ok(other);
      assert.notEqual(await run(scene, other), true);
      await assertUntouched(scene);
    });

    test(`fences ${write}: by the slot that the row has now`, async ({ fixture }) => {
      const scene = await setScene(fixture);
      await fixture.outbox.assignSlots('default', 1);
      assert.notEqual(await run(scene, scene.relay.leaseOf(scene.entry)), true);
      await fixture.outbox.assignSlots('default', SAMPLE_SLOTS.length);
      await assertUntouched(scene);
    });
  }

  test('removes and archives the entries of the slots that are still leased, and leaves those of a lost one', async ({
    fixture,
  }) => {
    const relay = await SampleRelay.start(fixture);
    const labels = ['a', 'b', 'c', 'd', 'e'];
    await commit(
      fixture,
      ...labels.map((label, index) => labelled(label, { key: keyInSlot(SAMPLE_SLOTS[index % 2]) })),
    );
    const entries = await fetchAll(fixture);
    const [lost] = relay.leases;
    assert.ok(lost);
    await fixture.leases.release(lost);
    await fixture.archive.add(entries, relay.leases);
    assert.equal(await relay.remove(entries), 2);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'c', 'e']);
    await fixture.archive.replay({}, undefined);
    await fixture.outbox.assignSlots('default', SAMPLE_SLOTS.length);
    assert.deepEqual(await fetchLabels(fixture), ['a', 'c', 'e', 'b', 'd']);
  });

  test('has each entry removed by the lease of its own slot', async ({ fixture }) => {
    const relay = await SampleRelay.start(fixture);
    await commit(
      fixture,
      ...['a', 'b'].map((label, index) => labelled(label, { key: keyInSlot(SAMPLE_SLOTS[index]) })),
    );
    const entries = await fetchAll(fixture);
    assert.equal(await fixture.outbox.remove(entries, relay.leases.slice(1, 2)), 1);
    assert.deepEqual(await fetchLabels(fixture), ['a']);
  });
}

async function setScene(fixture: StoreFixture): Promise<Scene> {
  const relay = await SampleRelay.start(fixture);
  const availableAt = new Date((await fixture.now()) - 1_000);
  await commit(fixture, 'a', 'b', labelled('late', { availableAt, destination: 'elsewhere' }));
  const entry = await fetchFirst(fixture);
  return { fixture, relay, entry };
}

/** Nothing was removed, parked, buried, promoted or archived. */
async function assertUntouched({ fixture }: Scene): Promise<void> {
  const entries = await fetchAll(fixture);
  assert.deepEqual(
    entries.map((entry) => [labelOf(entry), entry.attempts]),
    [
      ['a', 0],
      ['b', 0],
    ],
  );
  assert.deepEqual(await fixture.deadLetters.list({ limit: 10 }), []);
  assert.deepEqual(await fetchLabels(fixture, 'elsewhere'), []);
  await fixture.passTime(1_000);
  assert.equal(await fixture.archive.purge(0, 10), 0, 'it was archived');
}
