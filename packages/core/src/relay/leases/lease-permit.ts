import type { PublishOptions } from '../../transports/transport.js';
import type { SlotLeases } from './slot-leases.js';

/** Lets a transport send as long as the leases of a batch are valid; once it has said no, it stays with that. */
export class LeasePermit implements PublishOptions {
  #wasRefused = false;

  constructor(private readonly leases: SlotLeases) {}

  get wasRefused(): boolean {
    return this.#wasRefused;
  }

  readonly mayStart = (): boolean => {
    if (!this.leases.isValid) this.#wasRefused = true;
    return !this.#wasRefused;
  };
}
