import { Logger } from '@nestjs/common';
import { messageOf } from '../../cqrs-outbox.error.js';
import { withTimeLimit } from '../../transports/time-limit.js';
import { Signal } from '../signal.js';
import { fairShare } from './fair-share.js';
import { HeldLeases } from './held-leases.js';
import type { LeaseEnvironment, LeaseOutage, LeaseSettings } from './lease-environment.js';
import type { Lease, LeaseStore, RelayInstance, SlotOwner } from './lease-store.js';
import { SilentInstances } from './silent-instances.js';

/** The part of a lease's time in which nothing is begun any more: what is on its way must arrive before the end. */
const MARGIN = 0.1;
/** How often in a lease's time the table is looked at, and the lease renewed. */
const SYNCS_PER_LEASE = 10;
/** So many times a statement that does not answer can be tried before the lease runs out. */
const TRIES_PER_LEASE = 3;
/** The database's clock decides whether a lease has run out, and may lag behind a little. */
const EXPIRY_MARGIN_MS = 20;

/**
 * This process's part in sharing the slots. Again and again it renews its leases, and compares with the table:
 *
 *   gone ----register----> registered --renew, read--> registered
 *     ^                        |  too few slots: takes free ones    too many: gives some back, when nobody uses them
 *     \--its row was deleted---/  (by others, when its leases had run out: all it had is lost)
 *
 * The table is the truth: what it says to be ours is ours, whatever came of the statement that should have made it so.
 * Until when the leases last is counted from before the renewal was sent, so that it is never later than the database's own
 * end of them. See {@link LeaseStore} for why no two instances have one slot.
 */
export class SlotLeases {
  readonly #logger = new Logger('OutboxRelay:leases');
  readonly #held = new HeldLeases();
  readonly #silent: SilentInstances;
  readonly #signal: Signal;
  #instance: string | undefined;
  #validUntil = -Infinity;
  #nextSyncMs = 0;
  #loop: Promise<void> | undefined;
  #isStopping = false;
  #outage: LeaseOutage | undefined;
  #waitsFor: RelayInstance | undefined;

  constructor(
    private readonly store: LeaseStore,
    private readonly settings: LeaseSettings,
    private readonly environment: LeaseEnvironment,
  ) {
    this.#silent = new SilentInstances(settings.leaseMs);
    this.#signal = new Signal(environment.clock);
  }

  /** The name of this instance in the table; undefined before it has registered, and after it has withdrawn. */
  get instance(): string | undefined {
    return this.#instance;
  }

  /** Whether work may be started, or gone on with, at this very moment. */
  get isValid(): boolean {
    return this.environment.clock.now() < this.#validUntil;
  }

  /** Why there are no valid leases, when the table can't be reached; undefined as long as there are. */
  get outage(): LeaseOutage | undefined {
    return this.isValid ? undefined : this.#outage;
  }

  /** The instance with another number of slots that keeps this one from relaying. */
  get waitsFor(): RelayInstance | undefined {
    return this.#waitsFor;
  }

  /** The leases to start work with now. */
  usable(): Lease[] {
    return this.isValid ? this.#held.staying() : [];
  }

  /** Whether exactly these are held and valid at this very moment. */
  holds(leases: readonly Lease[]): boolean {
    return this.isValid && leases.every((lease) => this.#held.has(lease));
  }

  /** Says that a batch works with leases, so that they are not given back meanwhile. */
  enter(leases: readonly Lease[]): void {
    for (const lease of leases) this.#held.enter(lease);
  }

  exit(leases: readonly Lease[]): void {
    for (const lease of leases) if (this.#held.exit(lease)) this.#signal.set();
  }

  /**
   * A write with these leases had no effect: they are not used before a look at the table, which is soon, has shown that
   * they are ours. Otherwise the same entries would be sent again and again.
   */
  suspect(leases: readonly Lease[]): void {
    this.#held.suspect(leases);
    this.#signal.set();
  }

  /**
   * Gives leases back as soon as nobody works with them. For writes that have not answered in time: they may come late, and
   * only another epoch keeps them from having an effect then.
   */
  renounce(leases: readonly Lease[]): void {
    this.#held.leave(leases);
    this.#signal.set();
  }

  /** Goes on until `stop`. Resolves after the first look at the table, and rejects when that failed. */
  async start(): Promise<void> {
    const first = this.attempt();
    this.#loop = first.then(
      () => this.run(),
      () => this.run(),
    );
    await first;
  }

  /** Gives all slots back at once. Call it when nothing works with them any more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#signal.set();
    await this.#loop;
    const instance = this.#instance;
    this.loseAll();
    if (instance === undefined) return;
    try {
      await this.ask(this.store.withdraw(instance));
    } catch (error) {
      this.#logger.warn(`The slots are free only when their leases run out: ${messageOf(error)}`);
    }
  }

  private async run(): Promise<void> {
    for (;;) {
      await this.#signal.wait(this.#nextSyncMs);
      if (this.#isStopping) return;
      // Logged where it was noticed; the next look is soon.
      await this.attempt().catch(() => undefined);
    }
  }

  private async attempt(): Promise<void> {
    try {
      this.#nextSyncMs = this.settings.leaseMs / SYNCS_PER_LEASE;
      await this.sync();
      this.#outage = undefined;
    } catch (error) {
      const reason = `Leases can't be renewed: ${messageOf(error)}`;
      // A long outage is one warning and not one each time.
      if (this.#outage) this.#logger.debug(reason);
      else this.#logger.warn(reason);
      const { since = new Date(), failures = 0 } = this.#outage ?? {};
      this.#outage = { reason, since, failures: failures + 1 };
      throw error;
    }
  }

  /** One look at the table, and what follows from it. */
  private async sync(): Promise<void> {
    const instance = await this.renewOrRegister();
    const { slots, instances } = await this.ask(this.store.read(this.settings.slotCount));
    if (slots.length < this.settings.slotCount) return this.startOver(instance);
    this.adopt(slots, instance);
    const live = await this.expireOthers(instances, instance);
    if (this.mustWait(live)) this.#held.leave(this.#held.staying());
    else await this.balance(slots, live, instance);
    for (const lease of this.#held.unused()) {
      await this.ask(this.store.release(lease));
      this.#held.drop(lease);
      this.environment.onLost([lease.slot]);
    }
  }

  /** Somebody has deleted rows of slots: to register puts them in again. */
  private async startOver(instance: string): Promise<void> {
    this.loseAll();
    this.#nextSyncMs = 0;
    await this.ask(this.store.withdraw(instance));
  }

  private async renewOrRegister(): Promise<string> {
    const { leaseMs, slotCount, isGuest } = this.settings;
    const sentAt = this.environment.clock.now();
    const wasValid = this.isValid;
    let instance = this.#instance;
    if (instance === undefined || !(await this.ask(this.store.renew(instance, leaseMs)))) {
      this.loseAll();
      instance = this.environment.newInstance();
      this.#instance = instance;
      const registered = isGuest
        ? this.store.registerGuest(instance, slotCount, leaseMs)
        : this.store.register(instance, slotCount, leaseMs);
      await this.ask(registered);
    }
    this.#validUntil = sentAt + leaseMs * (1 - MARGIN);
    if (!wasValid && this.usable().length > 0) this.environment.onResumed();
    return instance;
  }

  /** Deletes those whose leases have run out, and is back in time for the next that could. */
  private async expireOthers(instances: readonly RelayInstance[], self: string): Promise<RelayInstance[]> {
    const live: RelayInstance[] = [];
    for (const other of instances) {
      if (other.instance !== self && other.expiresInMs <= 0) {
        await this.ask(this.store.expire(other.instance));
        continue;
      }
      live.push(other);
      if (other.instance === self) continue;
      this.#nextSyncMs = Math.min(this.#nextSyncMs, other.expiresInMs + EXPIRY_MARGIN_MS);
    }
    return live;
  }

  /** The instance that registered first decides on the number of slots. Others wait until it is gone. */
  private mustWait(live: readonly RelayInstance[]): boolean {
    const { slotCount } = this.settings;
    const decider = live.find((other) => other.slotCount > 0);
    const obstacle = decider && decider.slotCount !== slotCount ? decider : undefined;
    if (obstacle && !this.#waitsFor) {
      this.#logger.warn(
        `Instance ${obstacle.instance} relays with ${obstacle.slotCount} slots, this one is configured for ${slotCount}: ` +
          `it waits until no instance with another number is left. Give all the same \`slots\`.`,
      );
    }
    this.#waitsFor = obstacle;
    return obstacle !== undefined;
  }

  private async balance(
    slots: readonly SlotOwner[],
    live: readonly RelayInstance[],
    instance: string,
  ): Promise<void> {
    const { slotCount, isGuest } = this.settings;
    const names = new Set(live.map((other) => other.instance));
    const free = slots.filter(({ owner }) => owner === undefined || !names.has(owner));
    // Guests have no share, and those with another number of slots wait.
    const sharing = live.filter((other) => other.slotCount === slotCount);
    const active = this.#silent.activeOf(sharing, this.environment.clock.now());
    const target = isGuest ? slotCount : fairShare(slotCount, active, instance);
    const staying = this.#held.staying();
    if (staying.length > target) this.#held.leave(staying.slice(target));
    const wanted = this.shuffled(free).slice(0, Math.max(0, target - staying.length));
    if (wanted.length === 0 || this.#isStopping) return;
    await this.ask(this.store.acquire(instance, wanted));
    this.adopt((await this.ask(this.store.read(slotCount))).slots, instance);
  }

  private adopt(slots: readonly SlotOwner[], instance: string): void {
    const { gained, lost, isCleared } = this.#held.adopt(slots, instance);
    if (lost.length > 0) this.environment.onLost(lost);
    if (gained.length > 0) this.environment.onGained(gained);
    if (isCleared) this.environment.onResumed();
  }

  private loseAll(): void {
    const lost = this.#held.dropAll();
    this.#validUntil = -Infinity;
    // Told while the instance still has its name.
    if (lost.length > 0) this.environment.onLost(lost);
    this.#instance = undefined;
  }

  /** Instances that look for free slots at the same time should not all try the same ones. */
  private shuffled(slots: readonly SlotOwner[]): SlotOwner[] {
    return slots
      .map((slot) => ({ slot, rank: this.environment.random() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ slot }) => slot);
  }

  /** Soon enough to ask again, on another connection, before the leases run out. The statement may still have its effect. */
  private ask<T>(answer: Promise<T>): Promise<T> {
    return withTimeLimit(answer, this.settings.leaseMs / TRIES_PER_LEASE, 'The lease table');
  }
}
