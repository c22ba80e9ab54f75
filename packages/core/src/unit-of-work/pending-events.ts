import { DomainEvent } from '../messages/event.js';
import type { OutboxEntry } from '../outbox/outbox-entry.js';

/**
 * What was appended in one transaction or savepoint and waits for the commit, in the order of appending. A savepoint's
 * own are a part of the transaction's around it, unless they are cleared by its rollback.
 */
export class PendingEvents {
  #items: (OutboxEntry | DomainEvent | PendingEvents)[] = [];
  #isClosed = false;
  #failure: { cause: unknown } | undefined;

  /** Whether the transaction has taken its entries, or was rolled back: what came now would be lost. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Why this can't commit any more: a command that had joined it failed. */
  get failure(): { cause: unknown } | undefined {
    this.flatten();
    return this.#failure;
  }

  /** Says that a part of the work has failed whose changes can't be told from the others'. A rollback forgets it. */
  markFailed(cause: unknown): void {
    this.#failure ??= { cause };
  }

  addEntries(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) this.#items.push(entry);
  }

  addDomainEvent(event: DomainEvent): void {
    this.#items.push(event);
  }

  /** The pending events of a savepoint that was opened just now. */
  openSavepoint(): PendingEvents {
    const savepoint = new PendingEvents();
    this.#items.push(savepoint);
    return savepoint;
  }

  /** Takes the oldest domain event that was not handled yet. */
  nextDomainEvent(): DomainEvent | undefined {
    this.flatten();
    const index = this.#items.findIndex((item) => item instanceof DomainEvent);
    return index < 0 ? undefined : (this.#items.splice(index, 1)[0] as DomainEvent);
  }

  /** Takes all entries, for the insert. From then on this is closed. */
  takeEntries(): OutboxEntry[] {
    this.flatten();
    this.#isClosed = true;
    const isEntry = (item: unknown): item is OutboxEntry => !(item instanceof DomainEvent);
    const entries = this.#items.filter(isEntry);
    this.#items = [];
    return entries;
  }

  /** Drops all, at a rollback. */
  clear(): void {
    this.#items = [];
    this.#failure = undefined;
    this.#isClosed = true;
  }

  private absorb(savepoint: PendingEvents): (OutboxEntry | DomainEvent | PendingEvents)[] {
    const items = savepoint.flatten();
    this.#failure ??= savepoint.#failure;
    savepoint.#isClosed = true;
    return items;
  }

  /** Savepoints that are still here were released. */
  private flatten(): (OutboxEntry | DomainEvent | PendingEvents)[] {
    if (this.#items.some((item) => item instanceof PendingEvents)) {
      this.#items = this.#items.flatMap((item) =>
        item instanceof PendingEvents ? this.absorb(item) : [item],
      );
    }
    return this.#items;
  }
}
