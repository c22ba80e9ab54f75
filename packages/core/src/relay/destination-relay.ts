import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import { BatchRelay, type BatchOutcome, type BatchRelayParts } from './batch-relay.js';
import type { DestinationHealth, FailureCause } from './destination-health.js';
import { OUTBOX_CHANNELS, type FailureDiagnostic } from './diagnostics.js';
import { TimeoutError } from '../transports/time-limit.js';
import { Breaker } from './failures/breaker.js';
import type { Lease } from './leases/lease-store.js';
import type { SlotLeases } from './leases/slot-leases.js';
import type { RelayClock } from './relay-clock.js';
import { addReports, isIdle, NOTHING, type RelayReport } from './relay-report.js';
import { BATCHES_AT_ONCE, SlotTurns } from './slot-turns.js';

/** What {@link DestinationRelay} works with. */
export interface DestinationRelayParts extends Omit<BatchRelayParts, 'logger'> {
  readonly clock: RelayClock;
}

/** The database's clock decides whether a retry is due, and may lag behind a little. */
const RETRY_MARGIN_MS = 10;

/**
 * Relays the entries of one destination, slot by slot, as far as this process has their leases. A slot is looked at when
 * there is news: a commit in this process, the cron tick, a lease that was gained, the end of a backoff, or a batch that
 * did not hold all of it.
 *
 *   news --> ready --batch: read, publish, delete--> (more: ready again)
 *              ^                  \--destination or database down--> breaker open --time--> one entry as a probe
 *
 * A row that is there is pending, so that a crash at any point leads to another delivery at worst, and never to a loss.
 */
export class DestinationRelay {
  readonly destination: string;
  readonly #logger: Logger;
  readonly #turns = new SlotTurns();
  readonly #batches: BatchRelay;
  readonly #breaker: Breaker;
  readonly #timers = new Set<() => void>();
  readonly #running = new Set<Promise<unknown>>();
  /** Set while it runs by itself. */
  #leases: SlotLeases | undefined;

  constructor(private readonly parts: DestinationRelayParts) {
    this.destination = parts.destination;
    this.#logger = new Logger(`OutboxRelay:${parts.destination}`);
    this.#batches = new BatchRelay({ ...parts, logger: this.#logger });
    this.#breaker = new Breaker(parts.options, parts.clock, parts.random, () => {
      this.pump();
    });
  }

  get health(): DestinationHealth {
    return this.#breaker.health(this.destination);
  }

  start(leases: SlotLeases): void {
    this.#leases = leases;
    this.wakeAll();
  }

  /** New entries may be there. While the destination is down, the breaker decides when they are looked at. */
  wake(slots: Iterable<number>): void {
    this.#turns.add(slots);
    this.pump();
  }

  wakeAll(): void {
    this.wake(this.#leases?.usable().map(({ slot }) => slot) ?? []);
  }

  /** Ends after the batches in flight. */
  async stop(): Promise<void> {
    this.#leases = undefined;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    await Promise.allSettled(this.#running);
    this.#breaker.reset();
  }

  /** Looks at every slot that is leased, to its end. @throws what made it fail */
  async pass(leases: SlotLeases): Promise<RelayReport> {
    const pending = new Set(leases.usable().map(({ slot }) => slot));
    let total = NOTHING;
    const work = async (): Promise<void> => {
      while (pending.size > 0) {
        const batch = this.#turns.take(leases.usable(), pending);
        if (batch.length > 0) {
          const { report, again } = await this.relayBatch(leases, batch);
          total = addReports(total, report);
          for (const slot of again) pending.add(slot);
        } else if ([...pending].some((slot) => this.#turns.isBusy(slot))) await this.#turns.freed();
        else return; // The leases of the rest were lost.
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: BATCHES_AT_ONCE }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    this.recordSuccess();
    return total;
  }

  /**
   * Publishes one message, preceded by the earlier entries of its key.
   *
   * @returns `absent` when the outbox has no such entry, `refused` when it or an earlier one of its key was refused, `leased`
   *   when another instance relays its slot, or is about to
   */
  async publishUpTo(
    leases: SlotLeases,
    messageId: string,
  ): Promise<'published' | 'refused' | 'absent' | 'leased'> {
    const { store, destination, options, slotCount } = this.parts;
    if (leases.usable().length > 0) await store.assignSlots(destination, slotCount);
    for (let published = 0; ;) {
      const [first] = await store.fetchUpTo(messageId, destination, 1);
      if (!first) return published > 0 ? 'published' : 'absent';
      const batch = await this.turnOf(leases, first.slot);
      if (!batch) return 'leased';
      const outcome = await this.during(leases, batch, async () => {
        const entries = await store.fetchUpTo(messageId, destination, options.batchSize);
        const relayed = await this.#batches.relay(leases, batch, entries);
        return { ...relayed, isComplete: relayed.report.published === entries.length };
      });
      published += outcome.report.published;
      if (outcome.isComplete) continue;
      const { refused, deadLettered } = outcome.report;
      return refused + deadLettered > 0 ? 'refused' : 'leased';
    }
  }

  private async turnOf(leases: SlotLeases, slot: number): Promise<Lease[] | undefined> {
    for (;;) {
      if (!leases.usable().some((lease) => lease.slot === slot)) return undefined;
      const batch = this.#turns.take(leases.usable(), new Set([slot]));
      if (batch.length > 0) return batch;
      await this.#turns.freed();
    }
  }

  /** Starts as many batches as there may be. */
  private pump(): void {
    const leases = this.#leases;
    if (!leases) return;
    const limit = { closed: BATCHES_AT_ONCE, 'half-open': 1, open: 0 }[this.#breaker.state];
    while (this.#running.size < limit) {
      const batch = this.#turns.take(leases.usable());
      if (batch.length === 0) {
        // Every slot was looked at, and nothing that could be published is left: there is nothing to probe with.
        if (this.#breaker.state === 'half-open' && leases.isValid && this.#turns.isIdle) this.recordSuccess();
        return;
      }
      const running = this.relayBatch(leases, batch)
        // Logged and counted where it was noticed; the breaker says when to go on.
        .catch(() => undefined)
        .finally(() => {
          this.#running.delete(running);
          this.pump();
        });
      this.#running.add(running);
    }
  }

  private relayBatch(leases: SlotLeases, batch: readonly Lease[]): Promise<BatchOutcome> {
    const isProbe = this.#breaker.state !== 'closed' && leases === this.#leases;
    return this.during(leases, batch, () => this.#batches.relayFirst(leases, batch, isProbe));
  }

  /** Does something with slots that it has the turn of. What fails is to be looked at again. */
  private async during<T extends BatchOutcome>(
    leases: SlotLeases,
    batch: readonly Lease[],
    work: () => Promise<T>,
  ): Promise<T> {
    leases.enter(batch);
    let again: ReadonlySet<number> = new Set(batch.map(({ slot }) => slot));
    try {
      const outcome = await this.judged(leases, batch, work);
      for (const { slot, delayMs } of outcome.retries) this.scheduleRetry(slot, delayMs);
      again = outcome.again;
      return outcome;
    } finally {
      this.#turns.putBack(batch, again);
      leases.exit(batch);
      this.pump();
    }
  }

  private async judged<T extends BatchOutcome>(
    leases: SlotLeases,
    batch: readonly Lease[],
    work: () => Promise<T>,
  ): Promise<T> {
    let outcome: T;
    try {
      outcome = await work();
    } catch (error) {
      if (error instanceof TimeoutError) leases.renounce(batch);
      this.recordFailure('relay', error, leases);
      throw error;
    }
    if (outcome.down) {
      this.recordFailure('destination', outcome.down.error, leases);
      throw outcome.down.error;
    }
    // A batch that found nothing says nothing of the destination.
    if (!isIdle(outcome.report)) this.recordSuccess();
    return outcome;
  }

  private scheduleRetry(slot: number, delayMs: number): void {
    if (!this.#leases) return;
    const cancel = this.parts.clock.setTimer(() => {
      this.#timers.delete(cancel);
      this.wake([slot]);
    }, delayMs + RETRY_MARGIN_MS);
    this.#timers.add(cancel);
  }

  private recordSuccess(): void {
    const { failures } = this.#breaker;
    if (failures > 0) this.#logger.log(`Back after ${failures} failure(s).`);
    this.#breaker.recordSuccess();
  }

  private recordFailure(cause: FailureCause, error: unknown, { instance }: SlotLeases): void {
    this.#breaker.recordFailure(cause, error);
    const { failures } = this.#breaker;
    const text = `Entries wait, since relaying failed (${failures} in a row): ${messageOf(error)}`;
    // A long outage is one warning and not one each second.
    if (failures === 1) this.#logger.warn(text);
    else this.#logger.debug(text);
    const { source, destination } = this.parts;
    OUTBOX_CHANNELS.failed.publish({ source, instance, destination, error } satisfies FailureDiagnostic);
  }
}
