import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CqrsOutboxError, messageOf } from '../cqrs-outbox.error.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../cqrs-outbox.options.js';
import { OutboxStore } from '../outbox/outbox-store.js';
import { withTimeLimit } from '../transports/time-limit.js';
import { Transports } from '../transports/transports.js';
import type { DestinationHealth } from './destination-health.js';
import { DestinationRelay, type RelayReport } from './destination-relay.js';
import { RELAY_DEFAULTS } from './relay.options.js';

/**
 * Moves entries from the outbox to their destinations, each independent of the others. It runs by itself unless
 * `relay: false`; run it in one instance of the application only, since nothing shares the work between two.
 *
 * A row is deleted after its message was acknowledged: a crash in between, or a database that fails there, has the
 * batch in flight published again, with the same message ids.
 */
@Injectable()
export class OutboxRelay {
  readonly #logger = new Logger(OutboxRelay.name);
  /** Leaves the caller's transaction and request behind, into which relayed work must not be drawn. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #relays = new Map<string, DestinationRelay>();

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly store: OutboxStore,
    private readonly transports: Transports,
  ) {}

  /**
   * One pass over the outbox: publishes all that can be published now, in order for each key. For tests and scripts; it
   * takes turns with the relay that runs in the background.
   *
   * @returns what was done at each destination
   * @throws AggregateError when a destination or the database failed; the others were relayed all the same
   */
  async runOnce(): Promise<Record<string, RelayReport>> {
    const relays = [...this.relays.values()];
    const outcomes = await this.#detached(() => Promise.allSettled(relays.map((relay) => relay.pass())));
    const errors: unknown[] = [];
    const reports: Record<string, RelayReport> = {};
    for (const [index, { destination }] of relays.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') reports[destination] = outcome.value;
      else errors.push(outcome?.reason);
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `Relaying failed: ${errors.map(messageOf).join('; ')}`);
    return reports;
  }

  /**
   * Publishes one message now, preceded by the earlier entries of its key, so that the key's order is kept. A retry
   * that is being waited for is not waited for.
   *
   * @throws {@link CqrsOutboxError} with code `ENTRY_NOT_FOUND` when no entry with this message id is in the outbox, and
   *   `PUBLISH_FAILED` when a destination did not take it
   */
  async publishOne(messageId: string): Promise<void> {
    const published = await Promise.all(
      [...this.relays.values()].map((relay) => this.publishAt(relay, messageId)),
    );
    if (!published.some(Boolean)) {
      throw new CqrsOutboxError('ENTRY_NOT_FOUND', `No entry of message ${messageId} is in the outbox.`);
    }
  }

  /**
   * The state of each destination, as the relay of this process has last seen it; nothing is asked. Before the first
   * pass, and where no relay runs, each is `up`.
   */
  health(): DestinationHealth[] {
    return [...this.relays.values()].map(({ health }) => health);
  }

  /** @internal */
  start(): void {
    for (const relay of this.relays.values()) this.#detached(() => relay.start());
  }

  /** New entries may be there, for these destinations or for all. @internal */
  wake(destinations: Iterable<string> = this.relays.keys()): void {
    for (const destination of destinations) this.relays.get(destination)?.wake();
  }

  /** Publishes what is there, as far as the time allows, and stops. What is left stays in the outbox. @internal */
  async stop(): Promise<void> {
    const { drainTimeoutMs } = this.options.relay || RELAY_DEFAULTS;
    const running = [...this.relays.values()];
    const reachable = running.filter(({ health }) => health.state === 'up');
    const drained = this.#detached(() => Promise.allSettled(reachable.map((relay) => relay.pass())));
    await this.within(drainTimeoutMs, drained, 'Draining the outbox');
    const stopped = Promise.all(running.map((relay) => relay.stop()));
    await this.within(drainTimeoutMs, stopped, 'Stopping the relay');
    for (const relay of running) relay.abandon();
  }

  private async within(limitMs: number, work: Promise<unknown>, what: string): Promise<void> {
    try {
      await withTimeLimit(work, limitMs, what);
    } catch (error) {
      this.#logger.warn(`${messageOf(error)}; what is left stays in the outbox.`);
    }
  }

  private async publishAt(relay: DestinationRelay, messageId: string): Promise<boolean> {
    const outcome = await this.#detached(() => relay.publishUpTo(messageId)).catch((cause: unknown) => {
      throw publishFailed(messageId, relay.destination, cause);
    });
    if (outcome === 'refused') throw publishFailed(messageId, relay.destination, 'it was refused');
    return outcome === 'published';
  }

  /** Made on first use, when the transports are loaded. */
  private get relays(): ReadonlyMap<string, DestinationRelay> {
    if (this.#relays.size === 0) {
      const options = this.options.relay || RELAY_DEFAULTS;
      this.#relays = new Map(
        this.transports.names.map((name) => [
          name,
          new DestinationRelay(name, this.transports.get(name), this.store, options, Math.random),
        ]),
      );
    }
    return this.#relays;
  }
}

function publishFailed(messageId: string, destination: string, cause: unknown): CqrsOutboxError {
  const text = `Message ${messageId} was not published to ${destination}: ${messageOf(cause)}.`;
  return new CqrsOutboxError('PUBLISH_FAILED', text, { cause });
}
