export const MEGABYTE = 1024 ** 2;

/** At one moment; sizes in bytes. */
export interface MemorySample {
  readonly rss: number;
  readonly heapUsed: number;
}

/** A batch that Kafka has acknowledged. */
export interface PublishedBatch {
  /** Milliseconds since the first batch was given to the transport. */
  readonly at: number;
  /** This batch and all before it. */
  readonly total: number;
}

/** What a process has to tell that has drained a backlog. */
export interface DrainReport {
  readonly batches: readonly PublishedBatch[];
  readonly samples: readonly MemorySample[];
  /** After a garbage collection, before the relay was started and when all was drained. */
  readonly heapBefore: number;
  readonly heapAfter: number;
}

/** The samples of the first or the last third of the time. */
export function third(which: 'first' | 'last', samples: readonly MemorySample[]): readonly MemorySample[] {
  const size = Math.ceil(samples.length / 3);
  return which === 'first' ? samples.slice(0, size) : samples.slice(-size);
}
