/** Source of the present time; `Date` itself is one. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
}

/** A clock that stands still until it is told how much time has passed, so that no test waits. */
export class TestClock implements Clock {
  #now: number;

  /** @param startsAt - Milliseconds since 1970, UTC; the same in every run unless given. */
  constructor(startsAt: number = Date.UTC(2030, 0, 1)) {
    this.#now = startsAt;
  }

  now(): number {
    return this.#now;
  }

  /**
   * Lets time pass at once.
   *
   * @throws RangeError for a negative number or one that is no number: time does not run backwards
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`A clock can't be advanced by ${ms} ms.`);
    this.#now += ms;
  }
}
