import type { Logger } from '@nestjs/common';
import { messageOf, stackOf } from '../cqrs-outbox.error.js';
import type { ArchiveStore } from '../operations/archive-store.js';
import type { StoredEntry } from '../outbox/outbox-entry.js';
import type { Failure, OutboxStore } from '../outbox/outbox-store.js';
import { withTimeLimit } from '../transports/time-limit.js';
import type { PublishOptions, PublishResult, Transport } from '../transports/transport.js';
import { BatchLimit } from './batch-limit.js';
import { OUTBOX_CHANNELS, type BatchDiagnostic, type RefusalDiagnostic } from './diagnostics.js';
import { backoffMs, type Random } from './failures/backoff.js';
import { isNonRetryable } from './failures/non-retryable.error.js';
import { LeasePermit } from './leases/lease-permit.js';
import type { Lease } from './leases/lease-store.js';
import type { SlotLeases } from './leases/slot-leases.js';
import type { ResolvedRelayOptions } from './relay.options.js';
import { addReports, NOTHING, type RelayReport } from './relay-report.js';

/** What {@link BatchRelay} works with. */
export interface BatchRelayParts {
  readonly destination: string;
  readonly source: string;
  readonly slotCount: number;
  readonly transport: Transport;
  readonly store: OutboxStore;
  /** Undefined: published entries are not kept. */
  readonly archive: ArchiveStore | undefined;
  readonly options: ResolvedRelayOptions;
  readonly random: Random;
  readonly logger: Logger;
}

/** What became of a batch. */
export interface BatchOutcome {
  readonly report: RelayReport;
  /** Slots in which there is more to do at once. */
  readonly again: ReadonlySet<number>;
  /** Milliseconds until the retry of a slot's key is due. */
  readonly retries: readonly { readonly slot: number; readonly delayMs: number }[];
  /** The destination can't be reached: what was not published is still there. */
  readonly down: { readonly error: unknown } | undefined;
}

/**
 * Relays one batch: read, publish, then write down what became of each entry. Every write is fenced by the leases that the
 * batch was read with. A crash between two steps, or a write that fails, leads to another delivery at worst.
 */
export class BatchRelay {
  readonly #limit: BatchLimit;

  constructor(private readonly parts: BatchRelayParts) {
    this.#limit = new BatchLimit(parts.options.batchSize);
  }

  /**
   * @param isProbe whether one single entry is to show whether the destination works
   * @throws what the database, or a transport that breaks its contract, has thrown
   */
  async relayFirst(leases: SlotLeases, batch: readonly Lease[], isProbe: boolean): Promise<BatchOutcome> {
    const { destination, store, slotCount } = this.parts;
    const limit = isProbe ? 1 : this.#limit.entries;
    const slots = batch.map(({ slot }) => slot);
    const limitPerSlot = Math.max(1, Math.floor(limit / slots.length));
    const { entries, hasMisplaced } = await this.ask(
      store.fetch({ destination, slots, slotCount, limitPerSlot }),
    );
    this.#limit.record(entries);
    if (hasMisplaced) {
      await this.ask(store.assignSlots(destination, slotCount));
      return { report: NOTHING, again: new Set(slots), retries: [], down: undefined };
    }
    const outcome = await this.relay(leases, batch, entries.slice(0, limit));
    const counts = Map.groupBy(entries, ({ slot }) => slot);
    const full = slots.filter((slot) => (counts.get(slot)?.length ?? 0) >= limitPerSlot);
    return { ...outcome, again: new Set([...outcome.again, ...full]) };
  }

  /** Publishes entries that were read with these leases, and writes down what became of each. */
  async relay(
    leases: SlotLeases,
    batch: readonly Lease[],
    entries: readonly StoredEntry[],
  ): Promise<BatchOutcome> {
    const readable = readableOf(entries);
    const permit = new LeasePermit(leases, batch);
    const results = await this.publish(leases, readable, permit);
    if (batch[0]?.owner !== leases.instance) {
      // Another instance has these slots now, or this one was stopped: the database would refuse each write.
      this.parts.logger.debug('The leases of a batch were lost while it was published.');
      return { report: NOTHING, again: new Set(batch.map(({ slot }) => slot)), retries: [], down: undefined };
    }
    const published = readable.filter((entry) => results.get(entry)?.status === 'published');
    await this.remove(leases, batch, published);
    const settled = new Settlement();
    settled.report = { ...NOTHING, published: published.length };
    // The followers of a retried entry were left out of what was read.
    for (const { slot, attempts } of published) if (attempts > 0) settled.again.add(slot);
    const stoppedKeys = new Set<string>();
    for (const entry of entries) {
      const lease = batch.find(({ slot }) => slot === entry.slot);
      if (!lease || stoppedKeys.has(entry.key)) continue;
      const result = resultOf(entry, results.get(entry));
      if (result.status !== 'published') stoppedKeys.add(entry.key);
      if (result.status === 'unavailable') settled.down ??= { error: result.error };
      if (result.status !== 'refused') continue;
      if (!(await this.refuse(entry, result, lease, settled))) leases.suspect([lease]);
    }
    // What was held back because the leases were about to end is for when they are valid again.
    if (permit.wasRefused) for (const { slot } of batch) settled.again.add(slot);
    const isIdle = results.size > 0 && [...results.values()].every(({ status }) => status === 'held');
    if (isIdle && !permit.wasRefused)
      throw new Error('The transport has published nothing, and gave no reason');
    return settled;
  }

  private async publish(
    leases: SlotLeases,
    entries: readonly StoredEntry[],
    options: PublishOptions,
  ): Promise<Map<StoredEntry, PublishResult>> {
    const { transport } = this.parts;
    if (entries.length === 0) return new Map();
    this.tell(OUTBOX_CHANNELS.publishing, leases, entries);
    const results = await transport.publish(entries, options);
    const statuses = results.map((result: PublishResult | undefined): unknown => result?.status);
    const unknown = statuses.findIndex((status) => !STATUSES.includes(status));
    if (unknown >= 0)
      throw new Error(`The transport gave a result of unknown status ${String(statuses[unknown])}`);
    if (results.length === entries.length) {
      return new Map(results.map((result, index) => [entries[index] as StoredEntry, result]));
    }
    throw new Error(`The transport gave ${results.length} results for ${entries.length} messages`);
  }

  private async remove(
    leases: SlotLeases,
    batch: readonly Lease[],
    published: readonly StoredEntry[],
  ): Promise<void> {
    if (published.length === 0) return;
    const { archive, store, logger } = this.parts;
    this.tell(OUTBOX_CHANNELS.published, leases, published);
    if (archive) await this.ask(archive.add(published, batch));
    const removed = await this.ask(store.remove(published, batch));
    if (removed === published.length) return;
    logger.debug(`${published.length - removed} published entries were not deleted: their lease was lost.`);
    leases.suspect(batch);
  }

  /** @returns false when the lease was lost, or the entry is gone */
  private async refuse(
    entry: StoredEntry,
    { error, permanent = false }: Extract<PublishResult, { status: 'refused' }>,
    lease: Lease,
    settled: Settlement,
  ): Promise<boolean> {
    const { store, options, random, logger } = this.parts;
    const attempts = entry.attempts + 1;
    const failure = failureOf(error);
    const what = `Message ${entry.id} (${entry.name}, key ${entry.key}) was refused: ${failure.error}.`;
    if (permanent || attempts >= options.maxAttempts || isNonRetryable(error)) {
      settled.again.add(entry.slot);
      if (!(await this.ask(store.bury(entry, failure, lease)))) return false;
      settled.report = addReports(settled.report, { ...NOTHING, deadLettered: 1 });
      const then =
        entry.deadLetterPolicy === 'park' ? ', and its key waits until it is requeued or discarded' : '';
      logger.error(`${what} It is now a dead letter, after ${attempts} attempt(s)${then}.`);
      this.tellRefusal(OUTBOX_CHANNELS.deadLettered, entry, lease, attempts, error);
      return true;
    }
    const delayMs = backoffMs(attempts, options, random);
    if (!(await this.ask(store.reschedule(entry, delayMs, failure, lease)))) return false;
    settled.report = addReports(settled.report, { ...NOTHING, refused: 1 });
    settled.retries.push({ slot: entry.slot, delayMs });
    logger.warn(`${what} Attempt ${attempts} of ${options.maxAttempts}; its key waits ${delayMs} ms.`);
    this.tellRefusal(OUTBOX_CHANNELS.parked, entry, lease, attempts, error);
    return true;
  }

  private tell(
    channel: (typeof OUTBOX_CHANNELS)['published'],
    { instance }: SlotLeases,
    entries: readonly StoredEntry[],
  ): void {
    if (!channel.hasSubscribers) return;
    const { source, destination } = this.parts;
    channel.publish({ source, instance, destination, entries } satisfies BatchDiagnostic);
  }

  private tellRefusal(
    channel: (typeof OUTBOX_CHANNELS)['parked'],
    entry: StoredEntry,
    { owner: instance }: Lease,
    attempts: number,
    error: unknown,
  ): void {
    const { source, destination } = this.parts;
    channel.publish({ source, instance, destination, entry, attempts, error } satisfies RefusalDiagnostic);
  }

  /** A connection that hangs must not hold up the relay for ever. For what comes late, see {@link SlotLeases.renounce}. */
  private ask<T>(answer: Promise<T>): Promise<T> {
    return withTimeLimit(answer, this.parts.options.storeTimeoutMs, 'The outbox table');
  }
}

/** All that a {@link PublishResult} can be; transports of users may be written in JavaScript. */
const STATUSES: readonly unknown[] = ['published', 'refused', 'unavailable', 'held'];

/** A {@link BatchOutcome} in the making. */
class Settlement implements BatchOutcome {
  report = NOTHING;
  readonly again = new Set<number>();
  readonly retries: { slot: number; delayMs: number }[] = [];
  down: { error: unknown } | undefined;
}

/** Those to publish: of a key none behind one that can't be read, which may be to park the key. */
function readableOf(entries: readonly StoredEntry[]): StoredEntry[] {
  const stoppedKeys = new Set<string>();
  return entries.filter(({ key, unreadable }) => {
    if (unreadable !== undefined) stoppedKeys.add(key);
    return !stoppedKeys.has(key);
  });
}

function resultOf(entry: StoredEntry, result: PublishResult | undefined): PublishResult {
  if (entry.unreadable !== undefined) {
    return {
      status: 'refused',
      error: new Error(entry.unreadable),
      permanent: true,
    };
  }
  return result ?? { status: 'held' };
}

function failureOf(error: unknown): Failure {
  return { error: messageOf(error), stack: stackOf(error) };
}
