import type { RelayClock } from '../relay-clock.js';

/** How {@link SlotLeases} works. */
export interface LeaseSettings {
  readonly slotCount: number;
  readonly leaseMs: number;
  /** A guest has no share of its own: it takes what is free, and gives it back when it withdraws. */
  readonly isGuest: boolean;
}

/** What {@link SlotLeases} needs of the process around it. */
export interface LeaseEnvironment {
  readonly clock: RelayClock;
  readonly random: () => number;
  /** A name for a new instance, never used before. */
  readonly newInstance: () => string;
  readonly onGained: (slots: readonly number[]) => void;
  readonly onLost: (slots: readonly number[]) => void;
  /** Leases can be used again that were kept, but not renewed in time, or under suspicion. */
  readonly onResumed: () => void;
}

/** Since when and why the lease table can't be reached. */
export interface LeaseOutage {
  readonly reason: string;
  readonly since: Date;
  /** In a row. */
  readonly failures: number;
}
