import { memoryUsage } from 'node:process';
import type { DrainReport, MemorySample, PublishedBatch } from './drain-report.ts';

const PERIOD_MS = 25;

/** Writes down how a drain goes on in this process, and what memory it takes. Needs `--expose-gc`. */
export class DrainRecorder {
  readonly #samples: MemorySample[] = [];
  readonly #batches: PublishedBatch[] = [];
  #startedAt: number | undefined;
  #total = 0;
  #heapBefore = 0;
  #timer: NodeJS.Timeout | undefined;

  /** From here on: what the boot took is not the drain's. */
  start(): void {
    this.#heapBefore = heapInUse();
    this.#timer = setInterval(() => {
      const { rss, heapUsed } = memoryUsage();
      this.#samples.push({ rss, heapUsed });
    }, PERIOD_MS);
  }

  publishing(): void {
    this.#startedAt ??= performance.now();
  }

  published(entries: number): void {
    this.#total += entries;
    this.#batches.push({ at: performance.now() - (this.#startedAt ?? NaN), total: this.#total });
  }

  end(): DrainReport {
    clearInterval(this.#timer);
    const [batches, samples, heapBefore] = [this.#batches, this.#samples, this.#heapBefore];
    return { batches, samples, heapBefore, heapAfter: heapInUse() };
  }
}

/** What is left after a garbage collection. */
function heapInUse(): number {
  if (!global.gc) throw new Error('Start this process with --expose-gc');
  global.gc();
  return memoryUsage().heapUsed;
}
