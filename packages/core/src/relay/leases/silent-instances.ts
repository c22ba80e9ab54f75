import type { RelayInstance } from './lease-store.js';

/** Two readings of one expiry differ by so much, in milliseconds, without a renewal in between. */
const READING_ERROR_MS = 20;

/**
 * Finds instances that renew no lease although theirs has not run out, such as a row that somebody has put in by hand. They
 * have no share, since nobody would relay it.
 */
export class SilentInstances {
  /** When each was seen to have renewed, and until when by this process's own clock. */
  readonly #renewals = new Map<string, { expiresAt: number; seenAt: number }>();

  constructor(private readonly leaseMs: number) {}

  /** @returns the names of the others, in the same order */
  activeOf(instances: readonly RelayInstance[], now: number): string[] {
    const names = new Set(instances.map(({ instance }) => instance));
    for (const name of this.#renewals.keys()) if (!names.has(name)) this.#renewals.delete(name);
    for (const { instance, expiresInMs } of instances) {
      const expiresAt = now + expiresInMs;
      const last = this.#renewals.get(instance);
      if (!last || expiresAt > last.expiresAt + READING_ERROR_MS)
        this.#renewals.set(instance, { expiresAt, seenAt: now });
    }
    return [...names].filter((name) => now - (this.#renewals.get(name)?.seenAt ?? now) <= 2 * this.leaseMs);
  }
}
