import {
  slotsOf,
  type FetchedEntries,
  type EntrySelection,
  type Failure,
  type Lease,
  type Message,
  type PublishOptions,
  type PublishResult,
  type RelayInstance,
  type SlotOwner,
  type StoredEntry,
} from '@cqrs-outbox/core';
import { InMemoryLeaseStore, InMemoryOutboxStore, type InMemoryDatabase } from '@cqrs-outbox/testing';
import { publishInLanes } from './relay-internals.ts';
import type { Parts } from './world/scenario.ts';
import { LEASE_MS } from './world/settings.ts';

/** Writes whatever it is given, whoever has the slot. */
class UnfencedOutboxStore extends InMemoryOutboxStore {
  constructor(private readonly tables: InMemoryDatabase) {
    super(tables);
  }

  override remove(entries: readonly StoredEntry[]): Promise<number> {
    return super.remove(entries, this.validLeases());
  }

  override reschedule(entry: StoredEntry, delayMs: number, failure: Failure, lease: Lease): Promise<boolean> {
    return super.reschedule(entry, delayMs, failure, this.valid(lease));
  }

  override bury(entry: StoredEntry, failure: Failure, lease: Lease): Promise<boolean> {
    return super.bury(entry, failure, this.valid(lease));
  }

  private valid(lease: Lease): Lease {
    return this.validLeases().find(({ slot }) => slot === lease.slot) ?? lease;
  }

  private validLeases(): Lease[] {
    return [...this.tables.slots].map(([slot, { owner, epoch }]) => ({ slot, owner: owner ?? '', epoch }));
  }
}

/** Deletes what it reads, before it is published. */
class HastyOutboxStore extends InMemoryOutboxStore {
  constructor(private readonly tables: InMemoryDatabase) {
    super(tables);
  }

  override async fetch(selection: EntrySelection): Promise<FetchedEntries> {
    const fetched = await super.fetch(selection);
    const leases = [...this.tables.slots].map(([slot, { owner = '', epoch }]) => ({ slot, owner, epoch }));
    await super.remove(fetched.entries, leases);
    return fetched;
  }
}

/** Reads on past an entry that waits for its retry. */
class OvertakingOutboxStore extends InMemoryOutboxStore {
  override async fetch(selection: EntrySelection): Promise<FetchedEntries> {
    const { first, last } = slotsOf(selection.slotCount);
    const all = this.entries().filter(({ slot }) => slot >= first && slot <= last);
    const entries = all.filter(({ slot, attempts }) => selection.slots.includes(slot) && attempts === 0);
    return entries.length > 0 ? { entries, hasMisplaced: false } : super.fetch(selection);
  }
}

/** Takes a slot that another instance has. */
class GreedyLeaseStore extends InMemoryLeaseStore {
  constructor(private readonly tables: InMemoryDatabase) {
    super(tables);
  }

  override async acquire(instance: string, slots: readonly SlotOwner[]): Promise<void> {
    for (const { slot, epoch } of slots) this.tables.slots.set(slot, { owner: instance, epoch: epoch + 1 });
  }
}

/** Takes leases for run out when they have a while to go. */
class ImpatientLeaseStore extends InMemoryLeaseStore {
  constructor(private readonly tables: InMemoryDatabase) {
    super(tables);
  }

  override async read(slotCount: number): Promise<{ slots: SlotOwner[]; instances: RelayInstance[] }> {
    const { slots, instances } = await super.read(slotCount);
    const shortened = instances.map((instance) => ({
      ...instance,
      expiresInMs: instance.expiresInMs - LEASE_MS * 0.6,
    }));
    return { slots, instances: shortened };
  }

  override async expire(instance: string): Promise<void> {
    this.tables.instances.delete(instance);
  }
}

/** Lets an instance live on that was deleted. */
class RevivingLeaseStore extends InMemoryLeaseStore {
  override async renew(instance: string, leaseMs: number): Promise<boolean> {
    if (await super.renew(instance, leaseMs)) return true;
    await this.register(instance, 2, leaseMs);
    return true;
  }
}

/** Frees a slot, whoever has it. */
class CarelessLeaseStore extends InMemoryLeaseStore {
  constructor(private readonly tables: InMemoryDatabase) {
    super(tables);
  }

  override async release({ slot }: Lease): Promise<void> {
    const row = this.tables.slots.get(slot);
    if (row) this.tables.slots.set(slot, { ...row, owner: undefined });
  }
}

type PublishOne = (message: Message) => Promise<PublishResult>;

/** Goes on with a key after a message of it was not taken. */
async function publishPastFailures(
  messages: readonly Message[],
  publishOne: PublishOne,
  { mayStart }: PublishOptions,
): Promise<PublishResult[]> {
  const results: PublishResult[] = [];
  for (const message of messages) results.push(mayStart() ? await publishOne(message) : { status: 'held' });
  return results;
}

/** Sends without asking whether it still may. */
function publishUnasked(messages: readonly Message[], publishOne: PublishOne): Promise<PublishResult[]> {
  return publishInLanes(messages, publishOne);
}

/** Takes a broker that is away for one that refuses. */
function publishBlaming(
  messages: readonly Message[],
  publishOne: PublishOne,
  options: PublishOptions,
): Promise<PublishResult[]> {
  const blaming: PublishOne = async (message) => {
    const result = await publishOne(message);
    return result.status === 'unavailable' ? { status: 'refused', error: result.error } : result;
  };
  return publishInLanes(messages, blaming, options);
}

/** A relay with one part wrong, which the model must notice. */
export interface Mutation {
  readonly name: string;
  readonly parts: Partial<Parts>;
}

export const MUTATIONS: readonly Mutation[] = [
  { name: 'write without a lease', parts: { outboxStore: (database) => new UnfencedOutboxStore(database) } },
  { name: 'delete before publish', parts: { outboxStore: (database) => new HastyOutboxStore(database) } },
  { name: 'overtake a retry', parts: { outboxStore: (database) => new OvertakingOutboxStore(database) } },
  { name: 'acquire what is not free', parts: { leaseStore: (database) => new GreedyLeaseStore(database) } },
  { name: 'expire too early', parts: { leaseStore: (database) => new ImpatientLeaseStore(database) } },
  { name: 'revive the dead', parts: { leaseStore: (database) => new RevivingLeaseStore(database) } },
  { name: 'release what others have', parts: { leaseStore: (database) => new CarelessLeaseStore(database) } },
  { name: 'go on after a refusal', parts: { publish: publishPastFailures } },
  { name: 'send without asking', parts: { publish: publishUnasked } },
  { name: 'count an outage as a refusal', parts: { publish: publishBlaming } },
  { name: 'trust a lease for too long', parts: { clockRate: 0.5 } },
];
