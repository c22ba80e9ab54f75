import assert from 'node:assert/strict';
import type { LeaseStore } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT } from '../sample-message.js';
import { leasesOf, takeFree } from '../sample-relay.js';
import type { DeclareStoreTest } from '../store-suite.js';

const LEASE_MS = 60_000;
const HOUR_MS = 60 * 60_000;

/** What `renew` and `expire` promise. */
export function expiryTests(test: DeclareStoreTest): void {
  test('expires nobody before the time', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await takeFree(fixture, 'a');
    await fixture.passTime(LEASE_MS / 2);
    await leases.expire('a');
    assert.ok((await expiresInMs(leases, 'a')) > 0);
    assert.equal((await leasesOf(fixture, 'a')).length, SAMPLE_SLOT_COUNT);
  });

  test('expires an instance whose leases have run out, and no other one', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    await takeFree(fixture, 'a');
    await fixture.passTime(LEASE_MS);
    assert.ok((await expiresInMs(leases, 'a')) <= 0);
    await leases.expire('a');
    assert.deepEqual(await names(leases), ['b']);
    assert.equal((await takeFree(fixture, 'b')).length, SAMPLE_SLOT_COUNT);
  });

  test('leaves the slots with an instance that has run out, until it is expired', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    const { slots } = await leases.read(SAMPLE_SLOT_COUNT);
    await leases.acquire('a', slots);
    await fixture.passTime(2 * LEASE_MS);
    await leases.acquire('b', (await leases.read(SAMPLE_SLOT_COUNT)).slots);
    assert.equal((await leasesOf(fixture, 'a')).length, SAMPLE_SLOT_COUNT);
  });

  test('expires one who is gone already without a fault', async ({ fixture: { leases } }) => {
    await leases.expire('a');
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.expire('a');
    assert.deepEqual(await names(leases), ['b']);
  });

  test('renews from now on', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
    await fixture.passTime(LEASE_MS / 2);
    assert.equal(await leases.renew('a', LEASE_MS), true);
    await fixture.passTime(LEASE_MS / 2);
    for (const name of ['a', 'b']) await leases.expire(name);
    assert.deepEqual(await names(leases), ['a']);
  });

  test('renews for another time than before', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    assert.equal(await leases.renew('a', HOUR_MS), true);
    await fixture.passTime(LEASE_MS);
    assert.ok((await expiresInMs(leases, 'a')) > LEASE_MS);
    await leases.expire('a');
    assert.deepEqual(await names(leases), ['a']);
    assert.equal(await leases.renew('a', 1_000), true);
    await fixture.passTime(1_000);
    await leases.expire('a');
    assert.deepEqual(await names(leases), []);
  });

  test('renews an instance that has run out while nobody has expired it', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await takeFree(fixture, 'a');
    await fixture.passTime(HOUR_MS);
    assert.equal(await leases.renew('a', LEASE_MS), true);
    await leases.expire('a');
    assert.equal((await leasesOf(fixture, 'a')).length, SAMPLE_SLOT_COUNT);
  });

  for (const [how, end] of Object.entries({
    expired: async (leases: LeaseStore) => leases.expire('a'),
    withdrawn: async (leases: LeaseStore) => leases.withdraw('a'),
  })) {
    test(`renews nobody who was ${how}, and gives no slot to them`, async ({ fixture }) => {
      const { leases } = fixture;
      await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
      await fixture.passTime(LEASE_MS);
      await end(leases);
      assert.equal(await leases.renew('a', LEASE_MS), false);
      await leases.acquire('a', (await leases.read(SAMPLE_SLOT_COUNT)).slots);
      assert.deepEqual(await leasesOf(fixture, 'a'), []);
      assert.deepEqual(await names(leases), []);
      await leases.register('b', SAMPLE_SLOT_COUNT, LEASE_MS);
      assert.equal((await takeFree(fixture, 'b')).length, SAMPLE_SLOT_COUNT);
    });
  }

  test('expires an instance that was renewed further ahead than its lease lasts: the clock was set back', async ({
    fixture,
  }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await fixture.passTime(-HOUR_MS);
    assert.ok((await expiresInMs(leases, 'a')) <= 0);
    await leases.expire('a');
    assert.deepEqual(await names(leases), []);
  });

  test('keeps an instance that renews after the clock was set back', async ({ fixture }) => {
    const { leases } = fixture;
    await leases.register('a', SAMPLE_SLOT_COUNT, LEASE_MS);
    await fixture.passTime(-HOUR_MS);
    assert.equal(await leases.renew('a', LEASE_MS), true);
    await leases.expire('a');
    const leftMs = await expiresInMs(leases, 'a');
    assert.ok(leftMs > 0 && leftMs <= LEASE_MS, `${leftMs}`);
  });
}

async function names(leases: LeaseStore): Promise<string[]> {
  return (await leases.read(SAMPLE_SLOT_COUNT)).instances.map(({ instance }) => instance);
}

async function expiresInMs(leases: LeaseStore, name: string): Promise<number> {
  const { instances } = await leases.read(SAMPLE_SLOT_COUNT);
  const found = instances.find(({ instance }) => instance === name);
  assert.ok(found, `${name} is gone`);
  return found.expiresInMs;
}
