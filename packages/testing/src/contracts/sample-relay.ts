import assert from 'node:assert/strict';
import type { Lease, StoredEntry } from '@cqrs-outbox/core';
import { SAMPLE_SLOT_COUNT } from './sample-message.js';
import type { StoreFixture } from './store-harness.js';

/** How long the suites' leases last: longer than any test lets pass without meaning to end them. */
export const LEASE_MS = 24 * 60 * 60_000;

/** How long a refused entry waits unless a test says otherwise. */
export const DELAY_MS = 60_000;

/** Stands in for a relay instance: it has leases, and writes with them. */
export class SampleRelay {
  private constructor(
    private readonly fixture: StoreFixture,
    readonly instance: string,
    readonly leases: readonly Lease[],
  ) {}

  /** Registers an instance that takes all slots that are free. */
  static async start(fixture: StoreFixture, instance = 'relay'): Promise<SampleRelay> {
    await fixture.leases.register(instance, SAMPLE_SLOT_COUNT, LEASE_MS);
    return new SampleRelay(fixture, instance, await takeFree(fixture, instance));
  }

  /** The lease that covers an entry. */
  leaseOf({ slot }: Pick<StoredEntry, 'slot'>): Lease {
    const lease = this.leases.find((candidate) => candidate.slot === slot);
    assert.ok(lease, `${this.instance} has no lease of slot ${slot}`);
    return lease;
  }

  /** @returns how many were removed */
  remove(entries: readonly StoredEntry[]): Promise<number> {
    return this.fixture.outbox.remove(entries, this.leases);
  }

  reschedule(entry: StoredEntry, delayMs = DELAY_MS, error = 'refused'): Promise<boolean> {
    return this.fixture.outbox.reschedule(entry, delayMs, { error, stack: undefined }, this.leaseOf(entry));
  }

  bury(entry: StoredEntry, error = 'refused', stack?: string): Promise<boolean> {
    return this.fixture.outbox.bury(entry, { error, stack }, this.leaseOf(entry));
  }

  /** Publishes, one may say: archives entries and removes them. */
  async publish(entries: readonly StoredEntry[]): Promise<void> {
    await this.fixture.archive.add(entries, this.leases);
    assert.equal(await this.remove(entries), entries.length);
  }
}

/** Takes the slots that are free. @returns all leases that the instance now has */
export async function takeFree(
  { leases }: Pick<StoreFixture, 'leases'>,
  instance: string,
  slotCount = SAMPLE_SLOT_COUNT,
): Promise<Lease[]> {
  const { slots } = await leases.read(slotCount);
  const free = slots.filter(({ owner }) => owner === undefined);
  if (free.length > 0) await leases.acquire(instance, free);
  return leasesOf({ leases }, instance, slotCount);
}

/** What an instance has, as the slots' rows tell. */
export async function leasesOf(
  { leases }: Pick<StoreFixture, 'leases'>,
  instance: string,
  slotCount = SAMPLE_SLOT_COUNT,
): Promise<Lease[]> {
  const { slots } = await leases.read(slotCount);
  return slots.flatMap(({ slot, owner, epoch }) => (owner === instance ? [{ slot, owner, epoch }] : []));
}
