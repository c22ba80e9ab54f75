import { isRecord } from '../../option-faults.js';
import { slotsOf } from '../../outbox/slots.js';

/** The longest text of a hint, in bytes. PostgreSQL's NOTIFY takes less than 8,000. */
export const MAX_HINT_BYTES = 4_096;

/** What this application can have hints of. */
export interface HintScope {
  readonly destinations: readonly string[];
  readonly slotCount: number;
}

/** The text of a hint that would be too long otherwise. */
const EVERYTHING = JSON.stringify({ all: true });

/** Where something was committed: one hint for all commits since the last. */
export class CommitHint {
  readonly #slots = new Map<string, Set<number>>();
  #hasDelayed = false;

  /**
   * Reads what came from another process, or from anybody who can write to the channel.
   *
   * @returns undefined when it is no hint at all. Destinations that are not in the scope are left out; slots may be any
   */
  static parse(text: unknown, { destinations, slotCount }: HintScope): CommitHint | undefined {
    if (typeof text !== 'string' || text.length > MAX_HINT_BYTES) return undefined;
    const content = parseJson(text);
    if (!isRecord(content)) return undefined;
    const { first, last } = slotsOf(slotCount);
    const hint = new CommitHint();
    if (content['all'] === true || content['delayed'] === true) hint.addDelayed();
    for (const destination of destinations) {
      for (let slot = first; content['all'] === true && slot <= last; slot++) hint.add(destination, slot);
      for (const slot of slotsAt(content['slots'], destination))
        if (isInteger(slot)) hint.add(destination, slot);
    }
    return hint;
  }

  /** The slots with new entries, by destination. */
  get slots(): ReadonlyMap<string, ReadonlySet<number>> {
    return this.#slots;
  }

  /** Whether there are new entries that are not to be published yet. */
  get hasDelayed(): boolean {
    return this.#hasDelayed;
  }

  get isEmpty(): boolean {
    return this.#slots.size === 0 && !this.#hasDelayed;
  }

  add(destination: string, slot: number): void {
    const slots = this.#slots.get(destination) ?? new Set();
    this.#slots.set(destination, slots.add(slot));
  }

  addDelayed(): void {
    this.#hasDelayed = true;
  }

  /** A text of {@link MAX_HINT_BYTES} at most; where that does not do, it says that something is everywhere. */
  toText(): string {
    const slots = Object.fromEntries([...this.#slots].map(([destination, set]) => [destination, [...set]]));
    const text = JSON.stringify({ slots, ...(this.#hasDelayed && { delayed: true }) });
    return Buffer.byteLength(text) <= MAX_HINT_BYTES ? text : EVERYTHING;
  }
}

function slotsAt(slots: unknown, destination: string): readonly unknown[] {
  const list = isRecord(slots) && Object.hasOwn(slots, destination) ? slots[destination] : undefined;
  return Array.isArray(list) ? list : [];
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
