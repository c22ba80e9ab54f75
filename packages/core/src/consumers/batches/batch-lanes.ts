import type { ResolvedBatchOptions } from '../consumer.options.js';

/**
 * @param free to be called when the lane has room for another batch
 * @param begun to be called when its batch begins
 */
type RunBatch = (free: () => void, begun: () => void) => Promise<void>;

/**
 * Says when a batch is begun. One at a time is enough as long as it takes what comes, and the more come meanwhile, the more its
 * successor takes. Another is begun beside it for a full batch, and when the one that runs is old: a handler in it may hang.
 */
export class BatchLanes {
  #open = 0;
  /** Lanes whose batch is not old. */
  #young = 0;

  /**
   * @param run does not reject; it is called wherever another batch ends, or comes of age
   * @param countWaiting how many messages wait for a batch
   */
  constructor(
    private readonly run: RunBatch,
    private readonly settings: ResolvedBatchOptions,
    private readonly maxAgeMs: number,
    private readonly countWaiting: () => number,
  ) {}

  /** Begins a batch, if one is wanted. */
  open(): void {
    const waiting = this.countWaiting();
    const { maxMessages, maxTransactions } = this.settings;
    const isWanted = waiting > 0 && (this.#young === 0 || waiting >= maxMessages);
    if (!isWanted || this.#open >= maxTransactions) return;
    this.#open++;
    this.#young++;
    let timer: NodeJS.Timeout | undefined;
    let isYoung = true;
    const grow = (): void => {
      if (isYoung) this.#young--;
      isYoung = false;
      this.open();
    };
    const begun = (): void => {
      timer = setTimeout(grow, this.maxAgeMs);
    };
    const free = (): void => {
      clearTimeout(timer);
      this.#open--;
      grow();
    };
    void this.run(free, begun);
  }
}
