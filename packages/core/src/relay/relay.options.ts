/** Settings of the relay. */
export interface RelayOptions {
  /**
   * When to look for entries that no commit in this process has announced: retries that are due, entries of other
   * processes, what a crash has left. A cron expression, seconds included.
   * @defaultValue every second
   */
  cron?: string;
  /**
   * How many entries are read, published and deleted together. More is faster, and more is sent again after a crash.
   * @defaultValue 500
   */
  batchSize?: number;
  /**
   * How long a transport may take to acknowledge a batch, in milliseconds; after that the destination counts as down.
   * @defaultValue 30000
   */
  publishTimeoutMs?: number;
  /**
   * How often an entry that the transport refuses is tried before it becomes a dead letter. A destination that is down
   * uses up no attempts.
   * @defaultValue 10
   */
  maxAttempts?: number;
  /**
   * How long a statement of the relay may take, in milliseconds; after that the database counts as down. It may still have
   * its effect.
   * @defaultValue 30000
   */
  storeTimeoutMs?: number;
  /**
   * How long a relay instance that died keeps its slots, in milliseconds: then the others take them over. Less is a
   * faster takeover, and more statements (about three in a tenth of it). A process that is frozen for longer publishes nothing any more
   * when it wakes up.
   * @defaultValue 10000
   */
  leaseMs?: number;
  /**
   * The first wait after a failure, in milliseconds. It doubles with each further one, up to `maxBackoffMs`, and a
   * random part of it is waited (full jitter,
   * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
   * @defaultValue 100
   */
  minBackoffMs?: number;
  /**
   * The longest wait between two tries, in milliseconds: also how long after a broker's return the relay may notice.
   * @defaultValue 5000
   */
  maxBackoffMs?: number;
  /**
   * How long a shutdown waits for the batches in flight and for what was committed before it, in milliseconds. What is
   * left stays in the outbox.
   * @defaultValue 5000
   */
  drainTimeoutMs?: number;
}

/** {@link RelayOptions} with all defaults. */
export type ResolvedRelayOptions = Readonly<Required<RelayOptions>>;

/** The one place of the defaults. */
export const RELAY_DEFAULTS: ResolvedRelayOptions = {
  cron: '* * * * * *',
  batchSize: 500,
  publishTimeoutMs: 30_000,
  storeTimeoutMs: 30_000,
  leaseMs: 10_000,
  maxAttempts: 10,
  minBackoffMs: 100,
  maxBackoffMs: 5_000,
  drainTimeoutMs: 5_000,
};
