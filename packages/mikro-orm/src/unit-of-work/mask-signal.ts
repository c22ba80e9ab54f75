import type { EntityManager } from '@mikro-orm/core';

/** How an entity manager comes to the signal of a statement. */
interface AbortSettings {
  prepareOptions(options: AbortOptions): object;
  getAbortOptions(): undefined;
}

interface AbortOptions {
  readonly signal?: AbortSignal;
  readonly inflightQueryAbortStrategy?: unknown;
}

/**
 * Has an entity manager leave the signal that it was made with to its forks, which inherit it: once it is aborted they refuse all.
 * The statements of its own transaction the guard refuses and cancels; to have each listen too takes a seventh of the CPU time of
 * a small handler. Where MikroORM had other names for these methods, they would listen as well, and nothing else would change.
 */
export function maskSignal(em: EntityManager): void {
  const own = em as unknown as AbortSettings;
  const prepareOptions = own.prepareOptions.bind(em);
  const masked: AbortSettings = {
    getAbortOptions: () => undefined,
    prepareOptions: (options) => {
      const { signal, inflightQueryAbortStrategy } = options;
      return { ...prepareOptions(options), signal, inflightQueryAbortStrategy };
    },
  };
  Object.assign(em, masked);
}
