import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { slotsOf, type SlotOwner } from '@cqrs-outbox/core';
import { InMemoryDatabase, InMemoryLeaseStore, TestClock } from '@cqrs-outbox/testing';
import { Logger } from '@nestjs/common';
import { SlotLeases, type RelayClock } from './relay-internals.ts';

const LEASE_MS = 1_000;

/** Fails while it is told to, and is otherwise the in-memory store. */
class FailingLeaseStore extends InMemoryLeaseStore {
  failing: 'nothing' | 'acquire' | 'all' = 'nothing';

  override async renew(instance: string, leaseMs: number): Promise<boolean> {
    if (this.failing === 'all') throw new Error('The database is away');
    return super.renew(instance, leaseMs);
  }

  override async acquire(instance: string, slots: readonly SlotOwner[]): Promise<void> {
    if (this.failing !== 'nothing') throw new Error('The database is away');
    return super.acquire(instance, slots);
  }
}

/** One clock for the tables and the processes; each process looks at the table whenever time passes. */
class Instances implements RelayClock {
  readonly clock = new TestClock(0);
  readonly database = new InMemoryDatabase(this.clock);
  readonly store = new FailingLeaseStore(this.database);
  readonly #timers = new Set<() => void>();
  #names = 0;

  now(): number {
    return this.clock.now();
  }

  setTimer(callback: () => void): () => void {
    this.#timers.add(callback);
    return () => this.#timers.delete(callback);
  }

  async start(slotCount: number, isGuest = false): Promise<SlotLeases> {
    const nothing = (): void => undefined;
    const leases = new SlotLeases(
      this.store,
      { slotCount, leaseMs: LEASE_MS, isGuest },
      {
        clock: this,
        random: () => 0.5,
        newInstance: () => `instance-${++this.#names}`,
        onGained: nothing,
        onLost: nothing,
        onResumed: nothing,
      },
    );
    // What fails at first is tried again.
    await leases.start().catch(nothing);
    return leases;
  }

  /** In steps of a tenth of a lease, after each of which every process looks at the table. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += LEASE_MS / 10) {
      this.clock.advance(LEASE_MS / 10);
      for (const callback of [...this.#timers]) {
        callback();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
}

describe('The leases of an instance', () => {
  let instances: Instances;

  beforeAll(() => {
    Logger.overrideLogger(false);
  });

  beforeEach(() => {
    instances = new Instances();
  });

  const shares = (all: readonly SlotLeases[]): number[] => all.map((leases) => leases.usable().length);

  it('are all slots while it is alone, and a fair share when others come and go', async () => {
    const first = await instances.start(8);
    expect(shares([first])).toEqual([8]);
    const others = [await instances.start(8), await instances.start(8)];
    await instances.pass(LEASE_MS);
    expect(shares([first, ...others])).toEqual([3, 3, 2]);
    await Promise.all([first.stop(), instances.pass(LEASE_MS)]);
    await instances.pass(LEASE_MS);
    expect(shares(others)).toEqual([4, 4]);
  });

  it('stay while one with another number of slots waits, which has them when it is gone', async () => {
    const first = await instances.start(8);
    const waiting = await instances.start(3);
    for (let round = 0; round < 30; round++) {
      await instances.pass(LEASE_MS / 10);
      expect(shares([first, waiting])).toEqual([8, 0]);
    }
    expect(waiting.waitsFor?.slotCount).toBe(8);
    await Promise.all([first.stop(), instances.pass(LEASE_MS)]);
    await instances.pass(LEASE_MS);
    expect(shares([first, waiting])).toEqual([0, 3]);
    expect(waiting.waitsFor).toBeUndefined();
  });

  it.each(['acquire', 'all'] as const)(
    'are taken after an outage of many lease times (%s fails)',
    async (failing) => {
      instances.store.failing = 'acquire';
      const first = await instances.start(4);
      instances.store.failing = failing;
      await instances.pass(5 * LEASE_MS);
      expect(shares([first])).toEqual([0]);
      instances.store.failing = 'nothing';
      await instances.pass(LEASE_MS);
      expect(shares([first])).toEqual([4]);
    },
  );

  it('become fair again after an outage that one of two instances had', async () => {
    const first = await instances.start(4);
    instances.store.failing = 'acquire';
    const second = await instances.start(4);
    await instances.pass(5 * LEASE_MS);
    instances.store.failing = 'nothing';
    await instances.pass(2 * LEASE_MS);
    expect(shares([first, second])).toEqual([2, 2]);
  });

  it('don`t count on an instance whose row somebody has put in, and that never renews', async () => {
    const tenYears = 10 * 365 * 24 * 60 * 60_000;
    instances.database.instances.set('by hand', { slotCount: 4, leaseMs: tenYears, expiresAt: tenYears });
    const first = await instances.start(4);
    await instances.pass(4 * LEASE_MS);
    expect(shares([first])).toEqual([4]);
  });

  it('are given up when the row of the instance was deleted, and taken by a new name', async () => {
    const first = await instances.start(4);
    const before = first.instance;
    instances.database.instances.delete(before ?? '');
    await instances.pass(LEASE_MS / 10);
    expect(first.instance).not.toBe(before);
    expect(shares([first])).toEqual([4]);
  });

  it('are void for a slot that somebody has given to nobody that is there, and it is taken anew', async () => {
    const first = await instances.start(4);
    const { first: slot } = slotsOf(4);
    instances.database.slots.set(slot, { owner: 'somebody', epoch: 99 });
    await instances.pass(LEASE_MS / 5);
    expect(first.usable().map((lease) => [lease.slot, lease.epoch])).toContainEqual([slot, 100]);
    expect(shares([first])).toEqual([4]);
  });

  it('are taken again when the row of a slot was deleted', async () => {
    const first = await instances.start(4);
    instances.database.slots.delete(slotsOf(4).first + 1);
    await instances.pass(LEASE_MS);
    expect(shares([first])).toEqual([4]);
  });

  it('are over for the process a while before they are over by the database', async () => {
    const first = await instances.start(4);
    instances.clock.advance(LEASE_MS * 0.89);
    expect(first.isValid).toBe(true);
    instances.clock.advance(LEASE_MS * 0.02);
    expect(first.isValid).toBe(false);
    expect(first.usable()).toEqual([]);
  });

  it('of a guest are only what is free, and nobody gives it a share', async () => {
    const first = await instances.start(4);
    const guest = await instances.start(4, true);
    await instances.pass(2 * LEASE_MS);
    expect(shares([first, guest])).toEqual([4, 0]);
  });
});
