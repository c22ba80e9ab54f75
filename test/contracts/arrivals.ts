import type { ArrivedMessage } from '@cqrs-outbox/testing';

/** Collects what a receiver gets. */
export class Arrivals {
  readonly #arrived: ArrivedMessage[] = [];
  readonly #waiting = new Set<() => void>();

  add(message: ArrivedMessage): void {
    this.#arrived.push(message);
    for (const check of this.#waiting) check();
  }

  /** See `TransportFixture.arrivals`. */
  async of(ids: readonly string[], limitMs = 15_000): Promise<ArrivedMessage[]> {
    const wanted = new Set(ids);
    const select = (): ArrivedMessage[] => this.#arrived.filter(({ id }) => wanted.has(id));
    const isComplete = (): boolean => new Set(select().map(({ id }) => id)).size === wanted.size;
    let timer: NodeJS.Timeout | undefined;
    let check: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        check = () => isComplete() && resolve();
        this.#waiting.add(check);
        const fail = (): void =>
          reject(new Error(`${select().length} of ${wanted.size} messages arrived in ${limitMs} ms`));
        timer = setTimeout(fail, limitMs);
        check();
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(check);
    }
    return select();
  }
}
