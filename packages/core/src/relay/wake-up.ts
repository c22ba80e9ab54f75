import type { OutboxEntry } from '../outbox/outbox-entry.js';

/** Called with entries that were committed just now; it does not throw, and returns at once. */
export type WakeUpListener = (entries: readonly OutboxEntry[]) => void;

/** Carries the news of a commit from the unit of work to the relay of the same application, and to its tests. */
export class WakeUp {
  readonly #listeners = new Set<WakeUpListener>();

  /** @returns what ends the listening */
  listen(listener: WakeUpListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @internal */
  signal(entries: readonly OutboxEntry[]): void {
    for (const listener of this.#listeners) listener(entries);
  }
}
