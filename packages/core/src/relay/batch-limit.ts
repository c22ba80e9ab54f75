import type { StoredEntry } from '../outbox/outbox-entry.js';

/** So many bytes of payload a batch should have at most. */
const BATCH_BYTES = 8 * 1024 * 1024;

/**
 * How many entries the next batch may have: what was configured, and fewer where payloads are large. It goes by the last
 * batch, so that the first one of large payloads may be larger than it should be.
 */
export class BatchLimit {
  #averageBytes = 0;

  constructor(private readonly batchSize: number) {}

  get entries(): number {
    const fitting = this.#averageBytes > 0 ? Math.floor(BATCH_BYTES / this.#averageBytes) : Infinity;
    return Math.max(1, Math.min(this.batchSize, fitting));
  }

  record(batch: readonly StoredEntry[]): void {
    if (batch.length === 0) return;
    const bytes = batch.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
    this.#averageBytes = bytes / batch.length;
  }
}
