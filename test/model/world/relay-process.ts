import type { InMemoryDatabase } from '@cqrs-outbox/testing';
import type { Lease, LeaseStore, OutboxStore, Transport } from '@cqrs-outbox/core';
import { DelayedEntries, DestinationRelay, SlotLeases, type RelayClock } from '../relay-internals.ts';
import { DESTINATION, LEASE_MS, RELAY_OPTIONS, TICK_MS } from './settings.ts';
import type { TimerHost } from './virtual-timers.ts';

/** What a process has around it. */
export interface ProcessEnvironment {
  readonly time: () => number;
  readonly nextSequence: () => number;
  readonly clockRate: number;
  readonly slotCount: number;
  /** It makes one pass, and goes. */
  readonly isGuest: boolean;
  readonly maxAttempts: number;
  readonly database: InMemoryDatabase;
  readonly ports: (process: RelayProcess) => {
    leases: LeaseStore;
    outbox: OutboxStore;
    transport: Transport;
  };
}

/** A callback that is due at a virtual time. */
export interface VirtualTimer {
  readonly dueAt: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/** A process that runs the relay's own code on virtual time, as `OutboxRelay` does. */
export class RelayProcess implements TimerHost {
  state: 'running' | 'frozen' | 'dead' = 'running';
  thawsAt = 0;
  /** It thaws as soon as one of these is another one's. */
  thawsWhenLost: readonly number[] = [];
  hasStopped = false;
  isStopping = false;
  readonly timers = new Set<VirtualTimer>();
  /** All names that it has had in the lease table. */
  readonly instances = new Set<string>();
  readonly leases: SlotLeases;
  readonly relay: DestinationRelay;
  readonly #delayed: DelayedEntries;
  #draws = 0;

  constructor(
    readonly name: string,
    private readonly environment: ProcessEnvironment,
  ) {
    const { slotCount, maxAttempts } = environment;
    const clock: RelayClock = {
      now: () => environment.time() * environment.clockRate,
      setTimer: (callback, delayMs) => this.setTimer(callback, delayMs),
    };
    // Not random at all, but different each time and for each process.
    const random = (): number => ((++this.#draws * 7 + this.name.charCodeAt(0) * 3) % 10) / 10;
    const { leases, outbox, transport } = environment.ports(this);
    const options = { ...RELAY_OPTIONS, maxAttempts };
    this.#delayed = new DelayedEntries(outbox, slotCount, options, clock);
    this.relay = new DestinationRelay({
      destination: DESTINATION,
      source: 'model',
      transport,
      store: outbox,
      archive: undefined,
      options,
      slotCount,
      random,
      clock,
    });
    this.leases = new SlotLeases(
      leases,
      { slotCount, leaseMs: LEASE_MS, isGuest: environment.isGuest },
      {
        clock,
        random,
        newInstance: () => {
          const instance = `${this.name}${this.instances.size + 1}`;
          this.instances.add(instance);
          return instance;
        },
        onGained: (slots) => this.relay.wake(slots),
        onLost: () => undefined,
        onResumed: () => this.relay.wakeAll(),
      },
    );
  }

  get slotCount(): number {
    return this.environment.slotCount;
  }

  /** Whether it is there to relay. */
  get isActive(): boolean {
    return this.state !== 'dead' && !this.isStopping;
  }

  /** The leases that it would start work with now, if it ran. */
  usable(): Lease[] {
    return this.state === 'dead' || this.hasStopped ? [] : this.leases.usable();
  }

  get isGuest(): boolean {
    return this.environment.isGuest;
  }

  start(): void {
    if (this.isGuest) {
      void this.visit();
      return;
    }
    this.relay.start(this.leases);
    // A failure is tried again, as the relay does.
    this.leases.start().catch(() => undefined);
    this.scheduleTick();
  }

  /** As `OutboxRelay.publishOne` of a process whose relay runs. */
  publishOne(messageId: string): void {
    // What it rejects with is for the caller, who may try again.
    this.relay.publishUpTo(this.leases, messageId).catch(() => undefined);
  }

  /** As `OutboxRelay.stop`. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.#delayed.stop();
    const isUp = this.leases.isValid && this.relay.health.state === 'up';
    if (isUp) await this.relay.pass(this.leases).catch(() => undefined);
    await this.relay.stop();
    await this.leases.stop();
    this.hasStopped = true;
    this.timers.clear();
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    const dueAt = this.environment.time() + Math.max(0, Math.ceil(delayMs));
    const timer = { dueAt, sequence: this.environment.nextSequence(), callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  wake(slot: number): void {
    this.relay.wake([slot]);
  }

  /** As `OutboxRelay.runOnce` of a process without a relay of its own. */
  private async visit(): Promise<void> {
    this.isStopping = true;
    try {
      await this.leases.start();
      await this.relay.pass(this.leases);
    } catch {
      // The caller's, who may try again.
    }
    await this.leases.stop();
    this.hasStopped = true;
    this.timers.clear();
  }

  private scheduleTick(): void {
    this.setTimer(() => {
      if (this.isStopping) return;
      this.#delayed.look(this.leases, () => this.relay.wakeAll());
      this.relay.wakeAll();
      this.scheduleTick();
    }, TICK_MS);
  }
}
