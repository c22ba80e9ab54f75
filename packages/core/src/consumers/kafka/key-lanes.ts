/** What decides on the order of a message. */
export interface KeyedMessage {
  readonly key: Buffer | string | null | undefined;
}

/**
 * Which message of a batch may be handled next: the first one whose key has none in hand. Messages without a key are one
 * lane, as if they had the same: their publisher may have meant the order of their partition.
 */
export class KeyLanes {
  /** The positions of messages that may start, ascending. */
  readonly #ready: number[] = [];
  /** For each message, the position of the next one of its key. */
  readonly #followers = new Map<number, number>();

  constructor(messages: readonly KeyedMessage[]) {
    const lastOf = new Map<string | undefined, number>();
    for (const [position, { key }] of messages.entries()) {
      const lane = laneOf(key);
      const before = lastOf.get(lane);
      if (before === undefined) this.#ready.push(position);
      else this.#followers.set(before, position);
      lastOf.set(lane, position);
    }
  }

  /** How many messages can be handled at the same time. */
  get readyCount(): number {
    return this.#ready.length;
  }

  /** @returns undefined when there is none, until {@link release} is called for those in hand */
  take(): number | undefined {
    return this.#ready.shift();
  }

  /** The message at this position is handled: the next one of its key may start. */
  release(position: number): void {
    const follower = this.#followers.get(position);
    if (follower === undefined) return;
    const place = this.#ready.findIndex((other) => other > follower);
    this.#ready.splice(place === -1 ? this.#ready.length : place, 0, follower);
  }
}

/** Keys are bytes, which text in UTF-8 would not tell apart. */
function laneOf(key: KeyedMessage['key']): string | undefined {
  if (key === null || key === undefined) return undefined;
  return Buffer.isBuffer(key) ? key.toString('latin1') : key;
}
