/** Lets so many pieces of work run at the same time; those that wait come in the order in which they asked. */
export class ConcurrencyLimit {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param max 1 or more */
  constructor(max: number) {
    this.#free = max;
  }

  /** Resolves when there is room, which {@link release} gives back. */
  acquire(): Promise<void> {
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free--;
    return Promise.resolve();
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
