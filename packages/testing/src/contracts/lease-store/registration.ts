import assert from 'node:assert/strict';
import { slotsOf } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT, SAMPLE_SLOTS } from '../sample-message.js';
import { LEASE_MS, leasesOf, takeFree } from '../sample-relay.js';
import type { DeclareStoreTest } from '../store-suite.js';

/** What `register`, `registerGuest`, `withdraw` and `read` promise. */
export function registrationTests(test: DeclareStoreTest): void {
  test('has no slots and no instances at first', async ({ fixture: { leases } }) => {
    assert.deepEqual(await leases.read(SAMPLE_SLOT_COUNT), { slots: [], instances: [] });
  });

  test('adds an instance and the slots, which nobody has', async ({ fixture: { leases } }) => {
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    const { slots, instances } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.deepEqual(
      slots.map(({ slot, owner }) => [slot, owner]),
      SAMPLE_SLOTS.map((slot) => [slot, undefined]),
    );
    const [instance, ...others] = instances;
    assert.deepEqual(others, []);
    assert.deepEqual([instance?.instance, instance?.slotCount], ['a', SAMPLE_SLOT_COUNT]);
    const expiresInMs = instance?.expiresInMs ?? 0;
    assert.ok(expiresInMs <= LEASE_MS && expiresInMs > LEASE_MS - 60_000, `${expiresInMs}`);
  });

  test('lists instances in the order of their registration', async ({ fixture: { leases } }) => {
    const names = ['m', 'z', 'a', 'Z', 'b'];
    for (const name of names) await leases.register(name, SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.renew('m', LEASE_MS);
    const { instances } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.deepEqual(
      instances.map(({ instance }) => instance),
      names,
    );
  });

  test('leaves the slots that are there alone', async ({ fixture: { leases } }) => {
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    const before = await takeFree({ leases }, 'a');
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.registerGuest('c', SAMPLE_SLOT_COUNT, LEASE_MS);
    assert.equal(before.length, SAMPLE_SLOT_COUNT);
    assert.deepEqual(await leasesOf({ leases }, 'a'), before);
  });

  test('adds a slot whose row was deleted again', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await fixture.deleteSlot(SAMPLE_SLOTS[1] ?? 0);
    assert.equal((await leases.read(SAMPLE_SLOT_COUNT)).slots.length, SAMPLE_SLOT_COUNT - 1);
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    const { slots } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.deepEqual(
      slots.map(({ slot }) => slot),
      SAMPLE_SLOTS,
    );
  });

  test('registers many at the same time', async ({ fixture: { leases } }) => {
    const names = Array.from({ length: 8 }, (_, index) => `instance ${index}`);
    await Promise.all(names.map((name) => leases.register(name, SAMPLE_SLOT_COUNT, LEASE_MS)));
    const { slots, instances } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.equal(slots.length, SAMPLE_SLOT_COUNT);
    assert.deepEqual(instances.map(({ instance }) => instance).sort(), names);
  });

  test('registers a guest, who has no share but can take slots', async ({ fixture: { leases } }) => {
    await leases.registerGuest('guest', SAMPLE_SLOT_COUNT, LEASE_MS);
    const { instances } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.deepEqual(
      instances.map(({ instance, slotCount }) => [instance, slotCount]),
      [['guest', 0]],
    );
    assert.equal((await takeFree({ leases }, 'guest')).length, SAMPLE_SLOT_COUNT);
  });

  test('tells of instances with another count of slots, and of the slots of the given one', async ({
    fixture: { leases },
  }) => {
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.register('b', 2, LEASE_MS);
    await takeFree({ leases }, 'a');
    const { slots, instances } = await leases.read(2);
    assert.deepEqual(
      instances.map(({ instance, slotCount }) => [instance, slotCount]),
      [
        ['a', SAMPLE_SLOT_COUNT],
        ['b', 2],
      ],
    );
    const { first, last } = slotsOf(2);
    assert.deepEqual(
      slots.map(({ slot, owner }) => [slot, owner]),
      [
        [first, undefined],
        [last, undefined],
      ],
    );
  });

  test('withdraws an instance, whose slots are then free', async ({ fixture: { leases } }) => {
    for (const name of ['a', 'b']) await leases.register(name, SAMPLE_SLOT_COUNT, LEASE_MS);
    const before = await takeFree({ leases }, 'a');
    await leases.withdraw('a');
    await leases.withdraw('a');
    const { slots, instances } = await leases.read(SAMPLE_SLOT_COUNT);
    assert.deepEqual(
      instances.map(({ instance }) => instance),
      ['b'],
    );
    assert.ok(slots.every(({ owner }) => owner === undefined));
    const after = await takeFree({ leases }, 'b');
    assert.equal(after.length, SAMPLE_SLOT_COUNT);
    assert.ok(after.every(({ epoch }, index) => epoch > (before[index]?.epoch ?? Infinity)));
  });
}
