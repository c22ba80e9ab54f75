import assert from 'node:assert/strict';
import type { Lease, LeaseStore, SlotOwner } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT } from '../sample-message.js';
import { LEASE_MS, leasesOf, takeFree } from '../sample-relay.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `acquire` and `release` promise. */
export function ownershipTests(test: DeclareStoreTest): void {
  test('gives the slots that are asked for, each with a new epoch', async ({ fixture: { leases } }) => {
    const [first, second] = await registered(leases, 'a');
    await leases.acquire('a', [first]);
    assert.deepEqual(await leasesOf({ leases }, 'a'), [{ ...first, owner: 'a', epoch: first.epoch + 1 }]);
    await leases.acquire('a', [second]);
    assert.equal((await leasesOf({ leases }, 'a')).length, 2);
    await leases.acquire('a', []);
    assert.equal((await leasesOf({ leases }, 'a')).length, 2);
  });

  test('gives nobody a slot whose owner lives', async ({ fixture: { leases } }) => {
    await registered(leases, 'a', 'b');
    const before = await takeFree({ leases }, 'a');
    const { slots } = await leases.read(SAMPLE_SLOT_COUNT);
    await leases.acquire('b', slots);
    await leases.acquire('a', slots);
    assert.deepEqual(await leasesOf({ leases }, 'b'), []);
    assert.deepEqual(await leasesOf({ leases }, 'a'), before);
  });

  test('gives nobody a slot by an epoch that is past', async ({ fixture: { leases } }) => {
    const [slot] = await registered(leases, 'a', 'b');
    await leases.acquire('a', [slot]);
    const [lease] = await leasesOf({ leases }, 'a');
    assert.ok(lease);
    await leases.release(lease);
    await leases.acquire('b', [slot]);
    assert.deepEqual(await leasesOf({ leases }, 'b'), []);
    await leases.acquire('b', [{ ...slot, epoch: slot.epoch + 1 }]);
    assert.equal((await leasesOf({ leases }, 'b')).length, 1);
  });

  test('gives of several slots those that are free', async ({ fixture: { leases } }) => {
    const all = await registered(leases, 'a', 'b');
    await leases.acquire('a', all.slice(0, 2));
    await leases.acquire('b', all);
    assert.deepEqual(
      (await leasesOf({ leases }, 'b')).map(({ slot }) => slot),
      all.slice(2).map(({ slot }) => slot),
    );
  });

  test('gives each slot to one of many who ask at the same time', async ({ fixture: { leases } }) => {
    const names = Array.from({ length: 6 }, (_, index) => `instance ${index}`);
    const all = await registered(leases, ...names);
    await Promise.all(names.map((name) => leases.acquire(name, all)));
    const { slots } = await leases.read(SAMPLE_SLOT_COUNT);
    for (const { owner, epoch } of slots) {
      assert.ok(owner !== undefined && names.includes(owner));
      assert.equal(epoch, all[0].epoch + 1);
    }
  });

  test('never gives an epoch of a slot twice', async ({ fixture: { leases } }) => {
    const [{ slot }] = await registered(leases, 'a', 'b');
    const epochs: number[] = [];
    for (const name of ['a', 'b', 'b', 'a']) {
      const current = (await leases.read(SAMPLE_SLOT_COUNT)).slots.find((row) => row.slot === slot);
      assert.ok(current);
      await leases.acquire(name, [current]);
      const [lease] = await leasesOf({ leases }, name);
      assert.ok(lease);
      epochs.push(lease.epoch);
      await leases.release(lease);
    }
    assert.deepEqual(
      epochs,
      [...new Set(epochs)].sort((a, b) => a - b),
    );
  });

  test('takes a slot back, and no other one', async ({ fixture: { leases } }) => {
    await registered(leases, 'a');
    const [first, ...rest] = await takeFree({ leases }, 'a');
    assert.ok(first);
    await leases.release(first);
    assert.deepEqual(await leasesOf({ leases }, 'a'), rest);
  });

  for (const [how, change] of Object.entries({
    'by another owner': (lease: Lease) => ({ ...lease, owner: 'b' }),
    'by a lease of an earlier epoch': (lease: Lease) => ({ ...lease, epoch: lease.epoch - 1 }),
    'by a lease of a later epoch': (lease: Lease) => ({ ...lease, epoch: lease.epoch + 1 }),
  })) {
    test(`takes no slot back ${how}`, async ({ fixture: { leases } }) => {
      await registered(leases, 'a', 'b');
      const before = await takeFree({ leases }, 'a');
      for (const lease of before) await leases.release(change(lease));
      assert.deepEqual(await leasesOf({ leases }, 'a'), before);
    });
  }

  test('takes nothing from the next owner when the one before gives back late', async ({
    fixture: { leases },
  }) => {
    await registered(leases, 'a', 'b');
    const before = await takeFree({ leases }, 'a');
    await leases.withdraw('a');
    await takeFree({ leases }, 'b');
    for (const lease of before) await leases.release(lease);
    assert.equal((await leasesOf({ leases }, 'b')).length, SAMPLE_SLOT_COUNT);
  });

  test('has a slot of another count that an instance owns free for nobody', async ({
    fixture: { leases },
  }) => {
    await registered(leases, 'a');
    await takeFree({ leases }, 'a');
    await leases.register('b', 2, LEASE_MS);
    assert.equal((await takeFree({ leases }, 'b', 2)).length, 2);
    await leases.acquire('b', (await leases.read(SAMPLE_SLOT_COUNT)).slots);
    assert.equal((await leasesOf({ leases }, 'a')).length, SAMPLE_SLOT_COUNT);
  });
}

/** @returns the slots, all of them free */
async function registered(
  leases: LeaseStore,
  ...names: readonly string[]
): Promise<[SlotOwner, SlotOwner, ...SlotOwner[]]> {
  for (const name of names) await leases.register(name, SAMPLE_SLOT_COUNT, LEASE_MS);
  const [first, second, ...rest] = (await leases.read(SAMPLE_SLOT_COUNT)).slots;
  assert.ok(first && second);
  return [first, second, ...rest];
}
