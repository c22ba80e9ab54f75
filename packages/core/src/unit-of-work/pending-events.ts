import { AsyncLocalStorage } from 'node:async_hooks';
import type { OutboxEntry } from '../outbox/outbox-entry.js';
import { RecordedEvent } from './recorded-event.js';

/** A domain event that waits for the commit, and the asynchronous context of the work that has recorded it. */
export interface DeferredEvent {
  readonly recorded: RecordedEvent;
  readonly inContext: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * What was appended in one transaction or savepoint and waits for the commit, in the order of appending. A savepoint's
 * own are a part of the transaction's around it, unless they are cleared by its rollback.
 */
export class PendingEvents {
  #items: (OutboxEntry | RecordedEvent | PendingEvents)[] = [];
  #entries: OutboxEntry[] = [];
  #events: RecordedEvent[] = [];
  /** How many of the events were taken. */
  #taken = 0;
  #deferred: DeferredEvent[] = [];
  #isClosed = false;
  #failure: { cause: unknown } | undefined;

  /** Whether the transaction has taken its entries, or was rolled back: what came now would be lost. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether there are domain events that were not handled yet. */
  get hasUnhandled(): boolean {
    this.sort();
    return this.#taken < this.#events.length;
  }

  /** Why this can't commit any more: a command that had joined it failed. */
  get failure(): { cause: unknown } | undefined {
    this.sort();
    return this.#failure;
  }

  /** Says that a part of the work has failed whose changes can't be told from the others'. A rollback forgets it. */
  markFailed(cause: unknown): void {
    this.#failure ??= { cause };
  }

  addEntries(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) this.#items.push(entry);
  }

  addDomainEvent(event: RecordedEvent): void {
    this.#items.push(event);
  }

  /** The pending events of a savepoint that was opened just now. */
  openSavepoint(): PendingEvents {
    const savepoint = new PendingEvents();
    this.#items.push(savepoint);
    return savepoint;
  }

  /** Takes the oldest domain event that was not handled yet. */
  nextDomainEvent(): RecordedEvent | undefined {
    this.sort();
    const event = this.#events[this.#taken];
    if (event) this.#taken++;
    return event;
  }

  /** Keeps a domain event for those of its handlers that run after the commit, in the asynchronous context of now. */
  defer(recorded: RecordedEvent): void {
    this.#deferred.push({ recorded, inContext: AsyncLocalStorage.snapshot() });
  }

  /** Whether there is something to do after the commit. */
  get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  /** Takes what was deferred, oldest first, after the commit. */
  takeDeferred(): DeferredEvent[] {
    return this.#deferred.splice(0);
  }

  /** Takes all entries, for the insert. From then on this is closed. */
  takeEntries(): OutboxEntry[] {
    this.sort();
    this.#isClosed = true;
    return this.#entries.splice(0);
  }

  /** Drops all, at a rollback. */
  clear(): void {
    this.#items = [];
    this.#entries = [];
    this.#events = [];
    this.#taken = 0;
    this.#deferred = [];
    this.#failure = undefined;
    this.#isClosed = true;
  }

  /** Parts entries from events. Savepoints that are still here were released. */
  private sort(): void {
    if (this.#items.length === 0) return;
    for (const item of this.#items.splice(0)) {
      if (item instanceof PendingEvents) this.absorb(item);
      else if (item instanceof RecordedEvent) this.#events.push(item);
      else this.#entries.push(item);
    }
  }

  private absorb(savepoint: PendingEvents): void {
    savepoint.sort();
    for (const entry of savepoint.#entries) this.#entries.push(entry);
    for (const event of savepoint.#events) this.#events.push(event);
    this.#failure ??= savepoint.#failure;
    savepoint.#isClosed = true;
  }
}
