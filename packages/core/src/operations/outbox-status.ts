import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { MAX_SLOT_COUNT } from '../outbox/slots.js';
import type { DestinationHealth } from '../relay/destination-health.js';
import type { LeaseStore, RelayInstance } from '../relay/leases/lease-store.js';
import type { OutboxRelay } from '../relay/outbox-relay.js';
import type { StatusStore, OpenTransaction, ParkedKey } from './status-store.js';

/** What waits for a destination. */
export interface DestinationStatus {
  readonly destination: string;
  /** Entries that are to be published, parked ones included. */
  readonly pending: number;
  /** Milliseconds since the oldest of them was appended; 0 when none is pending. */
  readonly oldestAgeMs: number;
  /** Entries that are not due yet. */
  readonly delayed: number;
  readonly deadLetters: number;
  /** As this process sees it; undefined for a destination that is not configured here. */
  readonly health: DestinationHealth | undefined;
}

/** A slot and who relays it. */
export interface SlotStatus {
  /** 0 to the number of slots, exclusive. */
  readonly slot: number;
  /** At all destinations. */
  readonly pending: number;
  readonly oldestAgeMs: number;
  /** Undefined: nobody relays it now. */
  readonly owner: string | undefined;
  readonly epoch: number;
  /** Milliseconds until the owner's lease runs out unless it is renewed, by the database's clock. */
  readonly expiresInMs: number | undefined;
}

/** The state of the outbox, see {@link OutboxStatus.read}. */
export interface OutboxState {
  readonly destinations: readonly DestinationStatus[];
  readonly slots: readonly SlotStatus[];
  /** Pending entries that belong to no slot yet; the relay assigns them before it goes on with their destination. */
  readonly misplaced: number;
  readonly instances: readonly RelayInstance[];
  /** The first 100, and how many there are. */
  readonly parkedKeys: readonly ParkedKey[];
  readonly parkedKeyCount: number;
  /** Received messages that are set aside; see {@link InboxDeadLetters}. */
  readonly inboxDeadLetters: number;
  /**
   * The oldest database transaction that has written and has been open for over a second: what it has appended is not
   * there yet, and others may wait for its locks. Undefined when there is none, or the database does not tell.
   */
  readonly openTransaction: OpenTransaction | undefined;
}

/** Tells what is in the outbox, for dashboards, alerts and people. */
export class OutboxStatus {
  constructor(
    private readonly options: ResolvedOptions,
    private readonly store: StatusStore,
    private readonly leases: LeaseStore,
    private readonly relay: OutboxRelay,
  ) {}

  /**
   * Reads the state by a few plain statements, outside of any transaction. They count whole indexes: with a large backlog
   * they take a while, so ask each minute and not at each request. {@link OutboxRelay.health} asks nobody.
   */
  async read(): Promise<OutboxState> {
    const [figures, { slots, instances }] = await Promise.all([
      this.store.read(),
      this.leases.read(this.options.slots),
    ]);
    const bySlot = Map.groupBy(figures.backlogs, ({ slot }) => slot);
    const known = new Set(slots.map(({ slot }) => slot));
    const { parkedKeys, parkedKeyCount, inboxDeadLetters, openTransaction } = figures;
    return {
      destinations: this.destinationsOf(figures),
      slots: slots.map(({ slot, owner, epoch }) => {
        const live = instances.find(({ instance }) => instance === owner);
        const backlog = totalOf(bySlot.get(slot) ?? []);
        return {
          slot: slot % MAX_SLOT_COUNT,
          ...backlog,
          owner: live?.instance,
          epoch,
          expiresInMs: live?.expiresInMs,
        };
      }),
      misplaced: totalOf(figures.backlogs.filter(({ slot }) => !known.has(slot))).pending,
      instances,
      parkedKeys,
      parkedKeyCount,
      inboxDeadLetters,
      openTransaction,
    };
  }

  private destinationsOf({
    backlogs,
    delayed,
    deadLetters,
  }: Awaited<ReturnType<StatusStore['read']>>): DestinationStatus[] {
    const health = new Map(this.relay.health().map((state) => [state.destination, state]));
    const pending = Map.groupBy(backlogs, ({ destination }) => destination);
    const names = new Set([...health.keys(), ...pending.keys(), ...delayed.keys(), ...deadLetters.keys()]);
    return [...names].map((destination) => ({
      destination,
      ...totalOf(pending.get(destination) ?? []),
      delayed: delayed.get(destination) ?? 0,
      deadLetters: deadLetters.get(destination) ?? 0,
      health: health.get(destination),
    }));
  }
}

function totalOf(parts: readonly { readonly pending: number; readonly oldestAgeMs: number }[]): {
  pending: number;
  oldestAgeMs: number;
} {
  return {
    pending: parts.reduce((sum, part) => sum + part.pending, 0),
    oldestAgeMs: parts.reduce((oldest, part) => Math.max(oldest, part.oldestAgeMs), 0),
  };
}
