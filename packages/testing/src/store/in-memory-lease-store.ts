import { LeaseStore, slotsOf, type Lease, type RelayInstance, type SlotOwner } from '@cqrs-outbox/core';
import type { InMemoryDatabase } from './in-memory-database.js';

/** Instances and slots in memory; leases run out by the clock of {@link InMemoryDatabase}. */
export class InMemoryLeaseStore extends LeaseStore {
  constructor(private readonly database: InMemoryDatabase) {
    super();
  }

  async register(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    this.add(instance, slotCount, leaseMs);
    this.addSlots(slotCount);
  }

  async registerGuest(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    this.add(instance, 0, leaseMs);
    this.addSlots(slotCount);
  }

  async renew(instance: string, leaseMs: number): Promise<boolean> {
    const row = this.database.instances.get(instance);
    if (!row) return false;
    const expiresAt = this.database.clock.now() + leaseMs;
    this.database.instances.set(instance, { ...row, leaseMs, expiresAt });
    return true;
  }

  async withdraw(instance: string): Promise<void> {
    this.database.instances.delete(instance);
  }

  async expire(instance: string): Promise<void> {
    if (this.expiresInMs(instance) <= 0) this.database.instances.delete(instance);
  }

  async read(slotCount: number): Promise<{ slots: SlotOwner[]; instances: RelayInstance[] }> {
    const { slots, instances } = this.database;
    return {
      slots: slotNumbers(slotCount).flatMap((slot) => {
        const row = slots.get(slot);
        return row ? [{ slot, owner: this.living(row.owner), epoch: row.epoch }] : [];
      }),
      instances: [...instances].map(([instance, row]) => ({
        instance,
        slotCount: row.slotCount,
        expiresInMs: this.expiresInMs(instance),
      })),
    };
  }

  async acquire(instance: string, slots: readonly SlotOwner[]): Promise<void> {
    if (!this.database.instances.has(instance)) return;
    for (const { slot, epoch } of slots) {
      const row = this.database.slots.get(slot);
      if (row?.epoch !== epoch || this.living(row.owner) !== undefined) continue;
      this.database.slots.set(slot, { owner: instance, epoch: epoch + 1 });
    }
  }

  async release(lease: Lease): Promise<void> {
    if (this.database.isValid(lease))
      this.database.slots.set(lease.slot, { owner: undefined, epoch: lease.epoch });
  }

  /** Deletes the row of a slot, as somebody may by hand. */
  deleteSlot(slot: number): void {
    this.database.slots.delete(slot);
  }

  private add(instance: string, slotCount: number, leaseMs: number): void {
    const { instances, clock } = this.database;
    if (instances.has(instance)) throw new Error(`${instance} has registered already.`);
    instances.set(instance, { slotCount, leaseMs, expiresAt: clock.now() + leaseMs });
  }

  private addSlots(slotCount: number): void {
    const { slots } = this.database;
    for (const slot of slotNumbers(slotCount)) {
      if (!slots.has(slot)) slots.set(slot, { owner: undefined, epoch: 0 });
    }
  }

  /** An owner that is an instance still. */
  private living(owner: string | undefined): string | undefined {
    return owner !== undefined && this.database.instances.has(owner) ? owner : undefined;
  }

  private expiresInMs(instance: string): number {
    const row = this.database.instances.get(instance);
    if (!row) return 0;
    const leftMs = row.expiresAt - this.database.clock.now();
    // Nobody could have set it so far ahead: the clock was set back since then.
    return leftMs > row.leaseMs ? 0 : leftMs;
  }
}

function slotNumbers(slotCount: number): number[] {
  const { first } = slotsOf(slotCount);
  return Array.from({ length: slotCount }, (_, index) => first + index);
}
