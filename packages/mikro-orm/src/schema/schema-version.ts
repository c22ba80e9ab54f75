/** The version of the tables; it goes up with each change of theirs. */
export const SCHEMA_VERSION = 3;

/** How many rows `cqrs_outbox_key_lock` has: keys that share one wait for each other. */
export const KEY_LOCK_BUCKETS = 256;
