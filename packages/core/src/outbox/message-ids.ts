import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** What one id takes. */
const ID_BYTES = 16;
/** Of how many ids the random bytes are asked for together: to ask for each takes longer than to serialise its event. */
const IDS_AT_ONCE = 128;

/**
 * UUIDs of version 7, each greater than the one before
 * (https://www.rfc-editor.org/rfc/rfc9562#section-6.2, method 1: a counter, that begins at random with each millisecond).
 */
export class MessageIds {
  readonly #random = new Uint8Array(ID_BYTES * IDS_AT_ONCE);
  #used = this.#random.length;
  #milliseconds = 0;
  #sequence = 0;

  constructor(private readonly now: () => number = Date.now) {}

  next(): string {
    const random = this.takeRandom();
    this.advance(random);
    return uuidv7({ random, msecs: this.#milliseconds, seq: this.#sequence });
  }

  private takeRandom(): Uint8Array {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    return this.#random.subarray(this.#used, (this.#used += ID_BYTES));
  }

  private advance([first = 0, second = 0, third = 0, fourth = 0]: Uint8Array): void {
    const now = this.now();
    if (now > this.#milliseconds) {
      this.#milliseconds = now;
      // 31 bits of 32, so that it does not overflow soon. These bytes are in no other part of the id.
      this.#sequence = ((first & 0x7f) << 24) | (second << 16) | (third << 8) | fourth;
      return;
    }
    this.#sequence = (this.#sequence + 1) | 0;
    if (this.#sequence === 0) this.#milliseconds += 1;
  }
}
