import type { Lease } from './leases/lease-store.js';

/** So many batches of a destination are at work at a time: while one is published, others are read and deleted. */
export const BATCHES_AT_ONCE = 2;
/** Each slot is a part of the statement that reads a batch. */
const MAX_SLOTS_PER_BATCH = 32;

/**
 * Which slots of a destination are looked at next. A slot is in one batch at a time, so that what is read of it never has
 * an entry that is in hand. Slots take turns; a batch has its rows from several, the same number of each.
 */
export class SlotTurns {
  /** In the order of their turns. */
  readonly #ready = new Set<number>();
  readonly #busy = new Set<number>();
  /** Slots whose last batch did not hold all of theirs. */
  readonly #backlogged = new Set<number>();
  #onFreed: (() => void)[] = [];

  /** There may be something to read in these slots. */
  add(slots: Iterable<number>): void {
    for (const slot of slots) this.#ready.add(slot);
  }

  /** Takes the leases of the next batch: some of the slots that have their turn, and of `only` when it is given. */
  take(leases: readonly Lease[], only?: Set<number>): Lease[] {
    const waiting = only ?? this.#ready;
    const bySlot = new Map(leases.map((lease) => [lease.slot, lease]));
    const candidates = [...waiting].filter((slot) => bySlot.has(slot) && !this.#busy.has(slot));
    const isBacklogged = candidates.some((slot) => this.#backlogged.has(slot));
    const share = isBacklogged ? Math.ceil(candidates.length / BATCHES_AT_ONCE) : candidates.length;
    const taken = candidates.slice(0, Math.min(share, MAX_SLOTS_PER_BATCH));
    for (const slot of taken) {
      waiting.delete(slot);
      this.#ready.delete(slot);
      this.#busy.add(slot);
    }
    return taken.flatMap((slot) => bySlot.get(slot) ?? []);
  }

  /** The batch is done. @param again the slots that have more */
  putBack(leases: readonly Lease[], again: ReadonlySet<number>): void {
    for (const { slot } of leases) {
      this.#busy.delete(slot);
      if (again.has(slot)) this.#backlogged.add(slot);
      else this.#backlogged.delete(slot);
    }
    this.add(again);
    for (const resolve of this.#onFreed.splice(0)) resolve();
  }

  /** Whether no batch is at work. */
  get isIdle(): boolean {
    return this.#busy.size === 0;
  }

  isBusy(slot: number): boolean {
    return this.#busy.has(slot);
  }

  /** Resolves when a batch is done. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#onFreed.push(resolve));
  }
}
