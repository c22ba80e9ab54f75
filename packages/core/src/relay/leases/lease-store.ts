/** The right to relay a slot. */
export interface Lease {
  readonly slot: number;
  /** The relay instance that has it. */
  readonly owner: string;
  /** Counts the acquisitions of the slot: with each, the leases before it are void. */
  readonly epoch: number;
}

/** A relay instance that has registered. */
export interface RelayInstance {
  readonly instance: string;
  /** How many slots it divides the keys into; 0 for a guest, which has no share of its own. */
  readonly slotCount: number;
  /** Milliseconds until its leases run out, by the database's clock; 0 or less when they have. */
  readonly expiresInMs: number;
}

/** The row of a slot. */
export interface SlotOwner {
  readonly slot: number;
  /** Undefined when nobody has it. One who is no instance any more does not have it either. */
  readonly owner: string | undefined;
  readonly epoch: number;
}

/**
 * Port: who relays which slot. An instance's leases are valid as long as its row is there: it is deleted when it
 * withdraws, or by any other instance once it has run out. An instance whose row is gone never comes back; its process
 * registers anew, by another name. So "has run out" is one event, after which its slots are free. What it still
 * writes has an effect until somebody else has taken the slot, and none from then on.
 *
 * Each method is atomic, by the database's clock, and keeps no lock over a round trip. An expiry that is more than the
 * instance's lease in the future counts as run out too: the clock was set back, or the row was edited.
 */
export abstract class LeaseStore {
  /** Adds an instance, whose leases run out after `leaseMs`, and the rows of those slots that have none yet. */
  abstract register(instance: string, slotCount: number, leaseMs: number): Promise<void>;

  /** Adds a guest: an instance that has no share and only takes what is free. */
  abstract registerGuest(instance: string, slotCount: number, leaseMs: number): Promise<void>;

  /** Makes the leases of an instance last `leaseMs` from now on. @returns false when the instance is gone */
  abstract renew(instance: string, leaseMs: number): Promise<boolean>;

  /** Deletes an instance: its slots are free at once. */
  abstract withdraw(instance: string): Promise<void>;

  /** Deletes an instance if its leases have run out by now. */
  abstract expire(instance: string): Promise<void>;

  /** The slots of this count in their order, and the instances in the order of their registration. */
  abstract read(slotCount: number): Promise<{ slots: SlotOwner[]; instances: RelayInstance[] }>;

  /** Takes those of the slots that nobody has and whose epoch is still the one given; read again to see which. */
  abstract acquire(instance: string, slots: readonly SlotOwner[]): Promise<void>;

  /** Gives a slot back, if the lease is still the slot's own. */
  abstract release(lease: Lease): Promise<void>;
}
