import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import type { StoredEntry } from '../outbox/outbox-entry.js';
import type { OutboxStore } from '../outbox/outbox-store.js';
import type { PublishResult, Transport } from '../transports/transport.js';
import { backoffMs, type Random } from './backoff.js';
import type { DestinationHealth } from './destination-health.js';
import type { ResolvedRelayOptions } from './relay.options.js';
import { Signal } from './signal.js';

/** What one pass over the outbox has done. */
export interface RelayReport {
  readonly published: number;
  /** Refused by the transport and parked for a retry. */
  readonly refused: number;
  readonly deadLettered: number;
}

/** The database's clock decides whether a retry is due, and may lag behind a little. */
const RETRY_MARGIN_MS = 10;

const NOTHING: RelayReport = { published: 0, refused: 0, deadLettered: 0 };

/**
 * Relays the entries of one destination, in passes. A pass reads the first entries of the outbox again and again, each
 * batch while the one before it is being published; a published batch is deleted by one statement. The next pass starts when there
 * is news: a commit in this process, the cron tick, or the end of a backoff.
 *
 *   waiting --signal--> pass --all read--> waiting
 *                        |  \--destination or database down--> backing off --time--> pass
 *                        \--stop--> stopped (after the batch in flight)
 *
 * A row that is there is pending, so that a crash at any point leads to another delivery at worst, and never to a loss.
 */
export class DestinationRelay {
  readonly #signal = new Signal();
  readonly #logger: Logger;
  #exclusive: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> | undefined;
  #isStopping = false;
  #isAbandoned = false;
  #failures = 0;
  /** When the first of the retries that this process has scheduled is due, by the process's own clock. */
  #retryAt: number | undefined;
  #outage: { reason: string; since: Date } | undefined;

  constructor(
    readonly destination: string,
    private readonly transport: Transport,
    private readonly store: OutboxStore,
    private readonly options: ResolvedRelayOptions,
    private readonly random: Random,
  ) {
    this.#logger = new Logger(`OutboxRelay:${destination}`);
  }

  get health(): DestinationHealth {
    const { destination } = this;
    if (!this.#outage) return { destination, state: 'up', failures: 0 };
    const { reason, since: downSince } = this.#outage;
    return { destination, state: 'down', reason, downSince, failures: this.#failures };
  }

  start(): void {
    this.#loop = this.run();
    this.#signal.set();
  }

  /** New entries may be there. While the destination is down, the backoff decides instead. */
  wake(): void {
    if (this.#failures === 0) this.#signal.set();
  }

  /** Ends after the batch in flight. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#signal.set();
    await this.#loop;
    await this.#exclusive;
  }

  /** From now on leaves the database alone, which is about to be closed: a batch that hangs may still come back. */
  abandon(): void {
    this.#isStopping = true;
    this.#isAbandoned = true;
  }

  /** One pass, apart from the loop's own; passes never overlap. @throws what made the pass fail */
  pass(): Promise<RelayReport> {
    return this.exclusively(() => this.relayAll());
  }

  /**
   * Publishes one message, preceded by the earlier entries of its key, apart from passes.
   *
   * @returns `absent` when the outbox has no such entry, `refused` when it or an earlier one of its key was refused
   */
  publishUpTo(messageId: string): Promise<'published' | 'refused' | 'absent'> {
    return this.exclusively(async () => {
      for (let hasFound = false; ; hasFound = true) {
        const { destination, options } = this;
        const entries = await this.store.fetchUpTo(messageId, destination, options.batchSize);
        if (entries.length === 0) return hasFound ? 'published' : 'absent';
        const { published } = await this.relayBatch(entries, new Set());
        if (published < entries.length) return 'refused';
      }
    });
  }

  private async run(): Promise<void> {
    for (;;) {
      await this.#signal.wait(this.waitMs());
      if (this.#isStopping) return;
      // A timer may be early by a part of a millisecond.
      if ((this.#retryAt ?? Infinity) <= performance.now() + RETRY_MARGIN_MS) this.#retryAt = undefined;
      try {
        await this.pass();
      } catch {
        // Logged and counted where it was noticed; the loop's part is to go on after the backoff.
      }
    }
  }

  /** Milliseconds until the next pass without any news; undefined: as long as it takes. */
  private waitMs(): number | undefined {
    if (this.#failures > 0) return backoffMs(this.#failures, this.options, this.random);
    return this.#retryAt === undefined ? undefined : Math.max(0, this.#retryAt - performance.now());
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#exclusive.then(work).then(
      (value) => {
        this.recordSuccess();
        return value;
      },
      (error: unknown) => {
        this.recordFailure(error);
        throw error;
      },
    );
    this.#exclusive = result.catch(() => undefined);
    return result;
  }

  private async relayAll(): Promise<RelayReport> {
    const heldKeys = new Set<string>();
    let total = NOTHING;
    let next: Promise<StoredEntry[]> | undefined = this.fetch([]);
    while (next) {
      const batch: StoredEntry[] = await next;
      const isLast = batch.length < this.options.batchSize || this.#isStopping;
      next = isLast ? undefined : this.fetch(batch.map(({ position }) => position));
      // Awaited in the next round; a failure of this one must not leave its rejection unobserved.
      next?.catch(() => undefined);
      const sendable = batch.filter(({ key }) => !heldKeys.has(key));
      if (sendable.length === 0) {
        // Retries that are due again are for the next pass: this one would read them for ever.
        if (batch.length > 0) this.#signal.set();
        return total;
      }
      total = sum(total, await this.relayBatch(sendable, heldKeys));
    }
    return total;
  }

  private async fetch(except: readonly string[]): Promise<StoredEntry[]> {
    this.assertNotAbandoned();
    return this.store.fetch({ destination: this.destination, except, limit: this.options.batchSize });
  }

  /** @param heldKeys gets the keys that are left alone for the rest of the pass */
  private async relayBatch(batch: readonly StoredEntry[], heldKeys: Set<string>): Promise<RelayReport> {
    const results = await this.transport.publish(batch);
    this.assertNotAbandoned();
    return this.settle(batch, results, heldKeys);
  }

  private async settle(
    batch: readonly StoredEntry[],
    results: readonly PublishResult[],
    heldKeys: Set<string>,
  ): Promise<RelayReport> {
    const published = batch.filter((_, index) => results[index]?.status === 'published');
    if (published.length > 0) await this.store.remove(published);
    // The followers of a retried entry were left out of what was read until now: they are for the next read.
    if (published.some(({ attempts }) => attempts > 0)) this.#signal.set();
    let report: RelayReport = { ...NOTHING, published: published.length };
    let unavailable: { error: unknown } | undefined;
    for (const [index, entry] of batch.entries()) {
      const result = results[index];
      if (result?.status === 'published') continue;
      heldKeys.add(entry.key);
      if (result?.status === 'refused') report = sum(report, await this.refuse(entry, result));
      if (result?.status === 'unavailable') unavailable ??= { error: result.error };
    }
    if (unavailable) throw unavailable.error;
    return report;
  }

  private async refuse(
    entry: StoredEntry,
    { error, permanent = false }: Extract<PublishResult, { status: 'refused' }>,
  ): Promise<RelayReport> {
    const attempts = entry.attempts + 1;
    const reason = messageOf(error);
    const what = `Message ${entry.id} (${entry.name}, key ${entry.key}) was refused: ${reason}.`;
    if (permanent || attempts >= this.options.maxAttempts) {
      await this.store.bury(entry, { attempts, error: reason });
      // Its followers were held back in this pass.
      this.#signal.set();
      this.#logger.error(`${what} It is now a dead letter, after ${attempts} attempt(s).`);
      return { ...NOTHING, deadLettered: 1 };
    }
    const delayMs = backoffMs(attempts, this.options, this.random);
    await this.store.reschedule(entry, delayMs, reason);
    this.#retryAt = Math.min(this.#retryAt ?? Infinity, performance.now() + delayMs + RETRY_MARGIN_MS);
    this.#logger.warn(
      `${what} Attempt ${attempts} of ${this.options.maxAttempts}; its key waits ${delayMs} ms.`,
    );
    return { ...NOTHING, refused: 1 };
  }

  private assertNotAbandoned(): void {
    if (this.#isAbandoned) throw new Error('The application was shut down meanwhile');
  }

  private recordSuccess(): void {
    if (this.#failures > 0) this.#logger.log(`Back after ${this.#failures} failure(s).`);
    this.#failures = 0;
    this.#outage = undefined;
  }

  private recordFailure(error: unknown): void {
    this.#failures++;
    const reason = messageOf(error);
    this.#outage = { reason, since: this.#outage?.since ?? new Date() };
    const text = `Entries wait, since relaying failed (${this.#failures} in a row): ${reason}`;
    // A long outage is one warning and not one each second.
    if (this.#failures === 1) this.#logger.warn(text);
    else this.#logger.debug(text);
  }
}

function sum(a: RelayReport, b: RelayReport): RelayReport {
  return {
    published: a.published + b.published,
    refused: a.refused + b.refused,
    deadLettered: a.deadLettered + b.deadLettered,
  };
}
