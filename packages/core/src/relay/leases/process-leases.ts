import type { SlotLeases } from './slot-leases.js';

/** The leases that work by hand shares where no relay runs, for as long as there is any. */
interface Guest {
  readonly leases: SlotLeases;
  readonly isReady: Promise<void>;
  users: number;
}

/** The leases of this process: those of the relay while it runs, or else those of a guest for each work by hand. */
export class ProcessLeases {
  #standing: SlotLeases | undefined;
  #starting: Promise<void> = Promise.resolve();
  #guest: Guest | undefined;
  #guestLeaving: Promise<void> = Promise.resolve();

  /** @param create makes leases that have not been started */
  constructor(private readonly create: (isGuest: boolean) => SlotLeases) {}

  /** Those of the relay, while it runs. */
  get standing(): SlotLeases | undefined {
    return this.#standing;
  }

  /** Leases for the relay; `begin` is called with them before the first slot is leased. */
  start(begin: (leases: SlotLeases) => void): void {
    const leases = this.create(false);
    this.#standing = leases;
    begin(leases);
    // A failure is logged there, and tried again.
    this.#starting = leases.start().catch(() => undefined);
  }

  /** Resolves when the relay has had its first look at the lease table. */
  ready(): Promise<void> {
    return this.#starting;
  }

  /** @throws Error when no leases can be had, since the table can't be reached */
  async use<T>(work: (leases: SlotLeases) => Promise<T>): Promise<T> {
    if (!this.#standing) return this.useAsGuest(work);
    await this.#starting;
    const { outage } = this.#standing;
    if (outage) throw new Error(outage.reason);
    return work(this.#standing);
  }

  /** Hands over the slots. What is still at work writes nothing any more. */
  async stop(): Promise<void> {
    const standing = this.#standing;
    this.#standing = undefined;
    await Promise.all([standing?.stop(), this.#guest?.leases.stop()]);
  }

  private async useAsGuest<T>(work: (leases: SlotLeases) => Promise<T>): Promise<T> {
    const guest = (this.#guest ??= this.admitGuest());
    guest.users++;
    try {
      await guest.isReady;
      return await work(guest.leases);
    } finally {
      if (--guest.users === 0) {
        this.#guest = undefined;
        this.#guestLeaving = guest.leases.stop();
        await this.#guestLeaving;
      }
    }
  }

  private admitGuest(): Guest {
    const leases = this.create(true);
    // The slots of the one before are free only when it has left.
    return { leases, isReady: this.#guestLeaving.then(() => leases.start()), users: 0 };
  }
}
