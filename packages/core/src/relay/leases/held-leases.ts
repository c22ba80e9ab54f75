import type { Lease, SlotOwner } from './lease-store.js';

interface HeldLease {
  readonly lease: Lease;
  /** How many batches are at work with it. */
  users: number;
  /** It goes to another instance as soon as nobody works with it. */
  isLeaving: boolean;
  /** A write that it should have allowed had no effect: nothing is begun with it before the table says that it is ours. */
  isSuspect: boolean;
}

/** The leases that this process has, with who works with each. */
export class HeldLeases {
  readonly #held = new Map<number, HeldLease>();

  /** Those to start new work with. */
  staying(): Lease[] {
    return this.filter(({ isLeaving, isSuspect }) => !isLeaving && !isSuspect);
  }

  /** Whether exactly this one is held. */
  has({ slot, owner, epoch }: Lease): boolean {
    const lease = this.#held.get(slot)?.lease;
    return lease?.owner === owner && lease.epoch === epoch;
  }

  /** Those that can be given back now. */
  unused(): Lease[] {
    return this.filter(({ isLeaving, users }) => isLeaving && users === 0);
  }

  /** Takes over what the table says. @returns what has changed */
  adopt(
    rows: readonly SlotOwner[],
    instance: string,
  ): { gained: number[]; lost: number[]; isCleared: boolean } {
    const mine = new Map(rows.filter(({ owner }) => owner === instance).map((row) => [row.slot, row]));
    const lost: number[] = [];
    let isCleared = false;
    for (const [slot, held] of this.#held) {
      if (mine.get(slot)?.epoch === held.lease.epoch) {
        isCleared ||= held.isSuspect;
        held.isSuspect = false;
        continue;
      }
      this.#held.delete(slot);
      lost.push(slot);
    }
    const gained: number[] = [];
    for (const { slot, epoch } of mine.values()) {
      if (this.#held.has(slot)) continue;
      const lease = { slot, owner: instance, epoch };
      this.#held.set(slot, { lease, users: 0, isLeaving: false, isSuspect: false });
      gained.push(slot);
    }
    return { gained, lost, isCleared };
  }

  leave(leases: readonly Lease[]): void {
    for (const { slot } of leases) {
      const held = this.#held.get(slot);
      if (held) held.isLeaving = true;
    }
  }

  suspect(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const held = this.#held.get(lease.slot);
      if (held && this.has(lease)) held.isSuspect = true;
    }
  }

  drop(lease: Lease): void {
    if (this.has(lease)) this.#held.delete(lease.slot);
  }

  /** @returns the slots of all that were held */
  dropAll(): number[] {
    const slots = [...this.#held.keys()];
    this.#held.clear();
    return slots;
  }

  enter(lease: Lease): void {
    const held = this.#held.get(lease.slot);
    if (held && this.has(lease)) held.users++;
  }

  /** @returns whether the lease can be given back now */
  exit(lease: Lease): boolean {
    const held = this.#held.get(lease.slot);
    if (!held || !this.has(lease)) return false;
    held.users--;
    return held.isLeaving && held.users === 0;
  }

  private filter(condition: (held: HeldLease) => boolean): Lease[] {
    return [...this.#held.values()].filter(condition).map(({ lease }) => lease);
  }
}
