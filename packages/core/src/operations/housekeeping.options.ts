/** What is kept, for how long. What is over is deleted in small batches, by one of the relay instances. */
export interface HousekeepingOptions {
  /**
   * Keeps published entries for so long, in milliseconds, so that they can be replayed; `false` keeps none. It costs one
   * statement more for each batch.
   * @defaultValue false
   */
  archiveRetentionMs?: number | false;
  /**
   * Keeps inbox rows for so long, in milliseconds; `false` keeps them for ever. It must not be shorter than
   * `redeliveryWindowMs`.
   * @defaultValue false
   */
  inboxRetentionMs?: number | false;
  /**
   * For how long a message can be delivered again, in milliseconds: the retention time of your broker and its queues, with
   * room for an outage of the consumer.
   * @defaultValue 604800000 (seven days, Kafka's own default)
   */
  redeliveryWindowMs?: number;
  /**
   * Keeps dead letters for so long, in milliseconds; `false` keeps them until a person requeues or discards them. One that
   * parks its key is kept in any case.
   * @defaultValue false
   */
  deadLetterRetentionMs?: number | false;
  /**
   * Keeps received messages that were set aside for so long, in milliseconds; `false` keeps them until a person retries
   * or discards them. What is over is lost.
   * @defaultValue false
   */
  inboxDeadLetterRetentionMs?: number | false;
  /**
   * How often to look for what is over, in milliseconds.
   * @defaultValue 60000
   */
  intervalMs?: number;
}

/** {@link HousekeepingOptions} with all defaults. */
export type ResolvedHousekeepingOptions = Readonly<Required<HousekeepingOptions>>;

/** The one place of the defaults. */
export const HOUSEKEEPING_DEFAULTS: ResolvedHousekeepingOptions = {
  archiveRetentionMs: false,
  inboxRetentionMs: false,
  redeliveryWindowMs: 604_800_000,
  deadLetterRetentionMs: false,
  inboxDeadLetterRetentionMs: false,
  intervalMs: 60_000,
};
