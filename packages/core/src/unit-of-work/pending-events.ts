import { DomainEvent } from '../messages/event.js';
import type { OutboxEntry } from '../outbox/outbox-entry.js';

/**
 * What was appended in one transaction or savepoint and waits for the commit, in the order of appending. A savepoint's
 * own are a part of the transaction's around it, unless they are cleared by its rollback.
 */
export class PendingEvents {
  #items: (OutboxEntry | DomainEvent | PendingEvents)[] = [];

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

  /** Takes all entries. */
  takeEntries(): OutboxEntry[] {
    this.flatten();
    const isEntry = (item: unknown): item is OutboxEntry => !(item instanceof DomainEvent);
    const entries = this.#items.filter(isEntry);
    this.#items = this.#items.filter((item) => !isEntry(item));
    return entries;
  }

  /** Drops all, at a rollback. */
  clear(): void {
    this.#items = [];
  }

  /** Savepoints that are still here were released. */
  private flatten(): (OutboxEntry | DomainEvent | PendingEvents)[] {
    if (this.#items.some((item) => item instanceof PendingEvents)) {
      this.#items = this.#items.flatMap((item) => (item instanceof PendingEvents ? item.flatten() : [item]));
    }
    return this.#items;
  }
}
