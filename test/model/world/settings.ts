import { RELAY_DEFAULTS, type ResolvedRelayOptions } from '../relay-internals.ts';

export const DESTINATION = 'broker';
/** Virtual milliseconds. */
export const LEASE_MS = 1_000;
export const TICK_MS = 250;

export const RELAY_OPTIONS: ResolvedRelayOptions = {
  ...RELAY_DEFAULTS,
  batchSize: 4,
  storeTimeoutMs: 600,
  leaseMs: LEASE_MS,
  minBackoffMs: 50,
  maxBackoffMs: 200,
};

/** How long a process is frozen: nearly until the end of its lease ... */
export const SHORT_FREEZE_MS = LEASE_MS * 0.95;
/** ... or until another one has one of its slots, and so long at most. */
export const LONG_FREEZE_MS = LEASE_MS * 2;
/** How late what stalls takes effect: others have taken over by then. */
export const STALL_MS = LEASE_MS * 1.5;
/** By how much the database's clock is moved. */
export const JUMPS_MS: readonly number[] = [LEASE_MS * 1.5, -LEASE_MS * 1.5];
/** A process that takes the place of another one starts so long after. */
export const RESTART_MS = 50;
/** When everything works, all is done after this time. */
export const HORIZON_MS = LEASE_MS * 6;
