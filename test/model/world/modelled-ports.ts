import {
  LeaseStore,
  OutboxStore,
  Transport,
  type EntrySelection,
  type Failure,
  type FetchedEntries,
  type Lease,
  type Message,
  type PromotedEntries,
  type PublishOptions,
  type PublishResult,
  type RelayInstance,
  type SlotOwner,
  type StoredEntry,
} from '@cqrs-outbox/core';
import type { Parts } from './scenario.ts';

/** Makes an operation of a call: it takes effect, and its answer comes, when the scheduler says so. */
export type Ask = <T>(name: string, effect: () => Promise<T>) => Promise<T>;

/** The lease table, each call of which waits for the scheduler. */
export class ModelledLeaseStore extends LeaseStore {
  constructor(
    private readonly store: LeaseStore,
    private readonly ask: Ask,
  ) {
    super();
  }

  register(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    return this.ask(`register ${instance}`, () => this.store.register(instance, slotCount, leaseMs));
  }

  registerGuest(instance: string, slotCount: number, leaseMs: number): Promise<void> {
    return this.ask(`register ${instance}`, () => this.store.registerGuest(instance, slotCount, leaseMs));
  }

  renew(instance: string, leaseMs: number): Promise<boolean> {
    return this.ask(`renew ${instance}`, () => this.store.renew(instance, leaseMs));
  }

  withdraw(instance: string): Promise<void> {
    return this.ask(`withdraw ${instance}`, () => this.store.withdraw(instance));
  }

  expire(instance: string): Promise<void> {
    return this.ask(`expire ${instance}`, () => this.store.expire(instance));
  }

  read(slotCount: number): Promise<{ slots: SlotOwner[]; instances: RelayInstance[] }> {
    return this.ask('read', () => this.store.read(slotCount));
  }

  acquire(instance: string, slots: readonly SlotOwner[]): Promise<void> {
    const what = slots.map(({ slot, epoch }) => `${slot}@${epoch}`).join(' ');
    return this.ask(`acquire ${instance}: ${what}`, () => this.store.acquire(instance, slots));
  }

  release(lease: Lease): Promise<void> {
    return this.ask(`release ${textOf(lease)}`, () => this.store.release(lease));
  }
}

/** Is told of each write of the outbox table, around its effect. */
export type ObserveWrite = <T>(leases: readonly Lease[], write: () => Promise<T>) => Promise<T>;

/** The outbox table, each call of which waits for the scheduler. */
export class ModelledOutboxStore extends OutboxStore {
  constructor(
    private readonly store: OutboxStore,
    private readonly ask: Ask,
    private readonly observe: ObserveWrite,
  ) {
    super();
  }

  async checkSchema(): Promise<void> {}

  fetch(selection: EntrySelection): Promise<FetchedEntries> {
    return this.ask(`fetch ${selection.slots.join(' ')}`, () => this.store.fetch(selection));
  }

  assignSlots(destination: string, slotCount: number): Promise<number> {
    return this.ask(`assign ${slotCount} slots`, () => this.store.assignSlots(destination, slotCount));
  }

  fetchUpTo(messageId: string, destination: string, limit: number): Promise<StoredEntry[]> {
    return this.ask(`fetch up to ${messageId}`, () => this.store.fetchUpTo(messageId, destination, limit));
  }

  remove(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<number> {
    const what = `remove ${entries.map(({ id }) => id).join(' ')} by ${leases.map(textOf).join(' ')}`;
    return this.ask(what, () => this.observe(leases, () => this.store.remove(entries, leases)));
  }

  reschedule(entry: StoredEntry, delayMs: number, failure: Failure, lease: Lease): Promise<boolean> {
    return this.ask(`reschedule ${entry.id} by ${textOf(lease)}`, () =>
      this.observe([lease], () => this.store.reschedule(entry, delayMs, failure, lease)),
    );
  }

  bury(entry: StoredEntry, failure: Failure, lease: Lease): Promise<boolean> {
    return this.ask(`bury ${entry.id} by ${textOf(lease)}`, () =>
      this.observe([lease], () => this.store.bury(entry, failure, lease)),
    );
  }

  promote(lease: Lease, limit: number): Promise<PromotedEntries> {
    return this.ask(`promote by ${textOf(lease)}`, () =>
      this.observe([lease], () => this.store.promote(lease, limit)),
    );
  }

  count(destination: string): Promise<number> {
    return this.ask('count', () => this.store.count(destination));
  }
}

/** Sends the messages of a batch one by one, as the real transports do; each waits for the scheduler. */
export class ModelledTransport extends Transport {
  constructor(
    private readonly publishBatch: Parts['publish'],
    private readonly send: (message: Message) => Promise<PublishResult>,
  ) {
    super();
  }

  publish(messages: readonly Message[], options: PublishOptions): Promise<PublishResult[]> {
    return this.publishBatch(messages, this.send, options);
  }

  async close(): Promise<void> {}
}

function textOf({ slot, owner, epoch }: Lease): string {
  return `${owner}/${slot}@${epoch}`;
}
