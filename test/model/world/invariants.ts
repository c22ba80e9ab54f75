import type { Lease, Message, StoredEntry } from '@cqrs-outbox/core';
import type { InMemoryDatabase } from '@cqrs-outbox/testing';
import type { Broker } from './broker.ts';
import type { RelayProcess } from './relay-process.ts';

/** What was appended, as the model knows it. */
export interface Appended {
  readonly id: string;
  readonly key: string;
}

/** What the invariants look at. */
export interface Observed {
  readonly database: InMemoryDatabase;
  readonly broker: Broker;
  readonly processes: readonly RelayProcess[];
  readonly appended: readonly Appended[];
  /**
   * What has happened in the run that may excuse something. `hasLostEarly`: a lease may have ended before its time, since the
   * clock was set or a row was deleted.
   */
  readonly excuses: { hasFault: boolean; hasLostEarly: boolean };
  readonly maxAttempts: number;
}

/** So often may a process send a message at one moment, between two looks at its leases. */
const MAX_SENDS_AT_ONCE = 3;

/** The promises of docs/guarantees.md, as far as one can see them at the tables and at the broker. */
export class Invariants {
  readonly violations: string[] = [];
  /** What has happened that is allowed, so that one can see that the model gets there. */
  readonly seen = { duplicates: 0, deadLetters: 0, fencedWrites: 0 };
  /** Dead letters that were there at some time. */
  readonly #buried = new Set<string>();
  /** Dead letters that held nobody back: what follows them does not wait for them, nor when they are requeued. */
  readonly #passed = new Set<string>();
  /** The entries of each key, in the order in which they came into the outbox. */
  readonly #order = new Map<string, string[]>();

  readonly #sends = new Map<string, number>();

  constructor(private readonly observed: Observed) {}

  /** Whatever the step before was. */
  afterStep(): void {
    this.nothingIsLost();
    this.slotsHaveOneOwner();
    this.destinationIsDownForAReason();
  }

  /** A process hands a message to the broker. */
  onSend(process: RelayProcess, message: Message): void {
    const { id } = message;
    const { database, excuses } = this.observed;
    this.noHotLoop(process, id);
    if (excuses.hasLostEarly) return;
    const row = [...database.entries.values()].find(({ entry }) => entry.id === id);
    const live = [...process.instances].filter((instance) => {
      const registered = database.instances.get(instance);
      return registered !== undefined && registered.expiresAt > database.clock.now();
    });
    if (live.length === 0) this.violate(`${process.name} sends ${id} although its lease has run out`);
    // What another one has published and deleted meanwhile is in the slot that it was read in.
    const slot = row?.entry.slot ?? (message as StoredEntry).slot;
    const owner = database.slots.get(slot)?.owner;
    if (!live.some((instance) => instance === owner)) {
      this.violate(`${process.name} sends ${id}, whose slot ${owner ?? 'nobody'} has`);
    }
  }

  /** A message has arrived. @param wasThere whether it had arrived before */
  onArrival({ id, key }: Message, wasThere: boolean): void {
    const { broker, excuses } = this.observed;
    if (wasThere) {
      this.seen.duplicates++;
      if (!excuses.hasFault) this.violate(`${id} has arrived twice, and nothing has failed`);
      return;
    }
    if (this.#passed.has(id)) return;
    for (const other of this.#order.get(key) ?? []) {
      if (other === id) return;
      if (!broker.has(other) && !this.#passed.has(other)) {
        this.violate(`${id} arrives before ${other}, which is earlier of the same key`);
      }
    }
  }

  /** An entry has come into the outbox: appended, or due after a delay. */
  onCommit(id: string, key: string): void {
    const order = this.#order.get(key) ?? [];
    if (order.includes(id)) this.violate(`${id} has come into the outbox twice`);
    this.#order.set(key, [...order, id]);
  }

  /** A write of the outbox with these leases. */
  async aroundWrite<T>(process: RelayProcess, leases: readonly Lease[], write: () => Promise<T>): Promise<T> {
    const before = this.snapshot();
    const answer = write();
    const after = this.snapshot();
    let changes = 0;
    for (const [id, { slot, text }] of before) {
      if (after.get(id)?.text === text) continue;
      changes++;
      const row = this.observed.database.slots.get(slot);
      const isOwner = leases.some(
        (lease) => lease.slot === slot && lease.owner === row?.owner && lease.epoch === row.epoch,
      );
      if (!isOwner || !process.instances.has(row?.owner ?? '')) {
        const whose = `slot ${slot}, which ${row?.owner ?? 'nobody'}@${row?.epoch ?? '-'} has`;
        this.violate(`${process.name} has written ${id} of ${whose}, with a stale lease`);
      }
    }
    for (const [id, { key }] of after) if (!before.has(id)) this.onCommit(id, key);
    this.checkRefusals();
    const isOver = leases.some(({ slot, owner }) => this.observed.database.slots.get(slot)?.owner !== owner);
    if (changes === 0 && isOver) this.seen.fencedWrites++;
    return answer;
  }

  violate(what: string): void {
    this.violations.push(what);
  }

  /** Whatever has happened to its lease, a process does not send one message as fast as it can. */
  private noHotLoop({ name }: RelayProcess, id: string): void {
    const key = `${name} ${id} ${this.observed.database.clock.now()}`;
    const count = (this.#sends.get(key) ?? 0) + 1;
    this.#sends.set(key, count);
    if (count > MAX_SENDS_AT_ONCE) this.violate(`${name} sends ${id} again and again`);
  }

  private checkRefusals(): void {
    const { database, broker, maxAttempts } = this.observed;
    for (const { entry, attempts, isParking } of database.deadLetters) {
      if (!this.#buried.has(entry.id)) this.seen.deadLetters++;
      this.#buried.add(entry.id);
      if (!isParking) this.#passed.add(entry.id);
      const refusals = broker.refusalsOf(entry.id);
      if (attempts > refusals) this.violate(`${entry.id} has ${attempts} attempts, and ${refusals} refusals`);
      if (attempts < maxAttempts && !broker.isRefusedForGood(entry.id)) {
        this.violate(`${entry.id} is a dead letter after ${attempts} of ${maxAttempts} attempts`);
      }
    }
    for (const { position, attempts } of database.retries.values()) {
      const id = database.entries.get(position)?.entry.id;
      if (id !== undefined && attempts > broker.refusalsOf(id)) {
        this.violate(`${id} has ${attempts} attempts, and ${broker.refusalsOf(id)} refusals`);
      }
    }
  }

  /** Entries leave the tables only when they have arrived. */
  private nothingIsLost(): void {
    const { database, broker, appended } = this.observed;
    const kept = new Set<string>();
    for (const { entry } of database.entries.values()) kept.add(entry.id);
    for (const { entry } of database.delayed) kept.add(entry.id);
    for (const { entry } of database.deadLetters) kept.add(entry.id);
    for (const { id } of appended) if (!kept.has(id) && !broker.has(id)) this.violate(`${id} is lost`);
  }

  private slotsHaveOneOwner(): void {
    const { processes, excuses } = this.observed;
    if (excuses.hasLostEarly) return;
    const owners = new Map<number, string>();
    for (const process of processes) {
      for (const { slot } of process.usable()) {
        const other = owners.get(slot);
        if (other !== undefined) this.violate(`${other} and ${process.name} both have slot ${slot}`);
        owners.set(slot, process.name);
      }
    }
  }

  private destinationIsDownForAReason(): void {
    const { processes, excuses } = this.observed;
    if (excuses.hasFault) return;
    for (const { name, relay } of processes) {
      const { state, reason } = relay.health;
      if (state === 'down')
        this.violate(`${name} takes the broker for down, and nothing has failed: ${reason ?? ''}`);
    }
  }

  private snapshot(): Map<string, { slot: number; key: string; text: string }> {
    const { database } = this.observed;
    const rows = new Map<string, { slot: number; key: string; text: string }>();
    for (const { position, entry } of database.entries.values()) {
      const retry = database.retryOf(entry);
      const text = retry?.position === position ? `${retry.attempts} ${retry.retryAt}` : '';
      rows.set(entry.id, { slot: entry.slot, key: entry.key, text });
    }
    return rows;
  }
}
