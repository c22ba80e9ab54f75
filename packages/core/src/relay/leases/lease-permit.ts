import type { PublishOptions } from '../../transports/transport.js';
import type { Lease } from './lease-store.js';
import type { SlotLeases } from './slot-leases.js';

/**
 * Lets a transport send as long as the process has the very leases of a batch, and they are valid; once it has said no, it
 * stays with that. A process that was frozen may have lost them and leased others since.
 */
export class LeasePermit implements PublishOptions {
  #wasRefused = false;

  constructor(
    private readonly leases: SlotLeases,
    private readonly batch: readonly Lease[],
  ) {}

  get wasRefused(): boolean {
    return this.#wasRefused;
  }

  readonly mayStart = (): boolean => {
    if (!this.leases.holds(this.batch)) this.#wasRefused = true;
    return !this.#wasRefused;
  };
}
