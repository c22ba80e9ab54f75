import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { ArchiveStore } from '../operations/archive-store.js';
import type { OutboxEntry } from '../outbox/outbox-entry.js';
import type { OutboxStore } from '../outbox/outbox-store.js';
import { slotsOf } from '../outbox/slots.js';
import { withTimeLimit } from '../transports/time-limit.js';
import type { Transports } from '../transports/transports.js';
import { DelayedEntries } from './delayed-entries.js';
import type { DestinationHealth } from './destination-health.js';
import { DestinationRelay } from './destination-relay.js';
import { OUTBOX_CHANNELS, type LeaseDiagnostic } from './diagnostics.js';
import type { CommitHint } from './hints/commit-hint.js';
import type { LeaseStore } from './leases/lease-store.js';
import { ProcessLeases } from './leases/process-leases.js';
import { SlotLeases } from './leases/slot-leases.js';
import { publishAt } from './publish-at.js';
import { monotonicClock } from './relay-clock.js';
import { RELAY_DEFAULTS } from './relay.options.js';
import type { RelayReport } from './relay-report.js';

/** How long a shutdown waits for the one statement that hands over, however short the time to drain is. */
const HAND_OVER_MS = 2_000;

/**
 * Moves entries from the outbox to their destinations, each independent of the others. It runs by itself unless
 * `relay: false`. Any number of instances of the application may run it: they share the slots of the keys by leases.
 *
 * A row is deleted after its message was acknowledged: a crash in between, or a database that fails there, has the
 * batch in flight published again, with the same message ids.
 */
export class OutboxRelay {
  readonly #logger = new Logger(OutboxRelay.name);
  /** Leaves the caller's transaction and request behind, into which relayed work must not be drawn. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #relays = new Map<string, DestinationRelay>();
  readonly #delayed: DelayedEntries;
  readonly #leases = new ProcessLeases((isGuest) => this.leasesFor(isGuest));

  constructor(
    private readonly options: ResolvedOptions,
    private readonly store: OutboxStore,
    private readonly leaseStore: LeaseStore,
    private readonly archive: ArchiveStore,
    private readonly transports: Transports,
  ) {
    this.#delayed = new DelayedEntries(store, options.slots, this.relayOptions, monotonicClock);
  }

  /**
   * One pass over the outbox: publishes all that can be published now, in order for each key. For tests and scripts; it
   * takes turns with the relay that runs in the background. Where none does, it takes the slots that no other instance
   * has, for as long as the pass lasts: what others have leased is theirs to publish.
   *
   * @returns what was done at each destination
   * @throws AggregateError when a destination or the database failed; the others were relayed all the same
   */
  runOnce(): Promise<Record<string, RelayReport>> {
    const work = this.#detached(() => this.#leases.use((leases) => this.passAll(leases)));
    return work.catch((error: unknown) => {
      const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
      throw new AggregateError(errors, `Relaying failed: ${errors.map(messageOf).join('; ')}`, {
        cause: error,
      });
    });
  }

  /**
   * Publishes one message now, preceded by the earlier entries of its key, so that the key's order is kept. A retry
   * that is being waited for is not waited for.
   *
   * @throws {@link CqrsOutboxError} with code `ENTRY_NOT_FOUND` when no entry with this message id is in the outbox, it is
   *   not due yet, or a dead letter parks its key, and `PUBLISH_FAILED` when a destination did not take it, or another
   *   instance has leased its slot and publishes it itself
   */
  async publishOne(messageId: string): Promise<void> {
    const published = await this.#detached(() =>
      this.#leases.use((leases) =>
        Promise.all([...this.relays.values()].map((relay) => publishAt(relay, leases, messageId))),
      ),
    );
    if (!published.some(Boolean)) {
      throw new CqrsOutboxError(
        'ENTRY_NOT_FOUND',
        `No entry of message ${messageId} is in the outbox and due, or its key is parked by a dead letter.`,
      );
    }
  }

  /**
   * The state of each destination, as the relay of this process has last seen it; nothing is asked. Before the first
   * pass, and where no relay runs, each is `up`.
   */
  health(): DestinationHealth[] {
    const outage = this.#leases.standing?.outage;
    return [...this.relays.values()].map(({ destination, health }) => {
      if (health.state === 'down' || !outage) return health;
      const { reason, since: downSince, failures } = outage;
      return { destination, state: 'down', breaker: 'closed', cause: 'relay', reason, downSince, failures };
    });
  }

  /** The name of this process's relay in the lease table; undefined while it has none. It changes when its leases ran out. */
  get instance(): string | undefined {
    return this.#leases.standing?.instance;
  }

  /** Whether this process is the one for what only one instance should do: it has the first slot. @internal */
  get isFirst(): boolean {
    return this.leasedSlots.has(slotsOf(this.options.slots).first);
  }

  /** The slots that this process relays now. @internal */
  get leasedSlots(): ReadonlySet<number> {
    return new Set(this.#leases.standing?.usable().map(({ slot }) => slot));
  }

  /** @internal */
  start(): void {
    this.#detached(() => {
      this.#leases.start((leases) => {
        for (const relay of this.relays.values()) relay.start(leases);
      });
    });
  }

  /** These were committed just now. @internal */
  wake(entries: readonly OutboxEntry[]): void {
    const delays = entries.flatMap(({ availableAt }) =>
      availableAt ? [availableAt.getTime() - Date.now()] : [],
    );
    const { standing } = this.#leases;
    if (delays.length > 0 && standing) {
      this.#delayed.lookIn(Math.max(0, Math.min(...delays)), standing, () => this.wakeAll());
    }
    this.#detached(() => {
      for (const [destination, group] of Map.groupBy(entries, (entry) => entry.destination))
        this.relays.get(destination)?.wake(new Set(group.map(({ slot }) => slot)));
    });
  }

  /** These were committed by another process, in slots of this one. @internal */
  hear({ slots, hasDelayed }: CommitHint): void {
    const { standing } = this.#leases;
    if (hasDelayed && standing) this.#delayed.look(standing, () => this.wakeAll());
    this.#detached(() => {
      for (const [destination, group] of slots) this.relays.get(destination)?.wake(group);
    });
  }

  /** There may be entries anywhere. @internal */
  wakeAll(): void {
    for (const relay of this.relays.values()) relay.wakeAll();
  }

  /** The cron tick: whatever no news has come of. @internal */
  tick(): void {
    const { standing } = this.#leases;
    if (standing) this.#delayed.look(standing, () => this.wakeAll());
    this.wakeAll();
  }

  /**
   * Publishes what is there, as far as the time allows, stops, and hands the slots over. What is left stays in the outbox.
   *
   * @internal
   */
  async stop(): Promise<void> {
    const { drainTimeoutMs } = this.relayOptions;
    const running = [...this.relays.values()];
    const leases = this.#leases.standing;
    await this.within(drainTimeoutMs, this.#delayed.stop(), 'Moving delayed entries');
    // What was committed right after the boot is published too.
    await this.within(drainTimeoutMs, this.#leases.ready(), 'Leasing slots');
    if (leases?.isValid) {
      const reachable = running.filter(({ health }) => health.state === 'up');
      const drained = this.#detached(() => Promise.allSettled(reachable.map((relay) => relay.pass(leases))));
      await this.within(drainTimeoutMs, drained, 'Draining the outbox');
    }
    await this.within(
      drainTimeoutMs,
      Promise.all(running.map((relay) => relay.stop())),
      'Stopping the relay',
    );
    // A batch that hangs may still come back: without a lease it writes nothing.
    await this.within(HAND_OVER_MS, this.#leases.stop(), 'Handing over the slots');
  }

  private async within(limitMs: number, work: Promise<unknown>, what: string): Promise<void> {
    try {
      await withTimeLimit(work, limitMs, what);
    } catch (error) {
      this.#logger.warn(`${messageOf(error)}; what is left stays in the outbox.`);
    }
  }

  private async passAll(leases: SlotLeases): Promise<Record<string, RelayReport>> {
    const relays = [...this.relays.values()];
    const promoted = await Promise.allSettled([this.#delayed.promote(leases)]);
    const outcomes = await Promise.allSettled(relays.map((relay) => relay.pass(leases)));
    const errors = [...promoted, ...outcomes].flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    if (errors.length > 0) throw new AggregateError(errors);
    return Object.fromEntries(
      outcomes.flatMap((outcome, index) => {
        const destination = relays[index]?.destination;
        return outcome.status === 'fulfilled' && destination ? [[destination, outcome.value]] : [];
      }),
    );
  }

  private leasesFor(isGuest: boolean): SlotLeases {
    const { slots: slotCount } = this.options;
    const { leaseMs } = this.relayOptions;
    const tell = (name: 'leaseGained' | 'leaseLost', slots: readonly number[]): void => {
      const message: LeaseDiagnostic = { source: this.options.source, instance: leases.instance, slots };
      OUTBOX_CHANNELS[name].publish(message);
    };
    const leases = new SlotLeases(
      this.leaseStore,
      { slotCount, leaseMs, isGuest },
      {
        clock: monotonicClock,
        random: Math.random,
        newInstance: uuidv7,
        onGained: (slots) => {
          tell('leaseGained', slots);
          if (isGuest) return;
          for (const relay of this.relays.values()) relay.wake(slots);
          this.#delayed.look(leases, () => this.wakeAll());
        },
        onLost: (slots) => tell('leaseLost', slots),
        onResumed: () => this.wakeAll(),
      },
    );
    return leases;
  }

  private get relayOptions() {
    return this.options.relay || RELAY_DEFAULTS;
  }

  /** Made on first use, when the transports are loaded. */
  private get relays(): ReadonlyMap<string, DestinationRelay> {
    if (this.#relays.size === 0) {
      this.#relays = new Map(this.transports.names.map((name) => [name, this.relayTo(name)]));
    }
    return this.#relays;
  }

  private relayTo(destination: string): DestinationRelay {
    return new DestinationRelay({
      destination,
      source: this.options.source,
      transport: this.transports.get(destination),
      store: this.store,
      archive: this.options.housekeeping.archiveRetentionMs === false ? undefined : this.archive,
      options: this.relayOptions,
      slotCount: this.options.slots,
      random: Math.random,
      clock: monotonicClock,
    });
  }
}
