import type { ControlledTransaction, Generated, Kysely } from 'kysely';

/** A 64-bit integer, as the drivers give and take it. */
type BigInteger = number | string | bigint;

/** What `cqrs_outbox` and the tables beside it have in common. All instants are milliseconds since 1970, UTC. */
export interface EntryColumns {
  message_id: string;
  destination: string;
  topic: string;
  message_key: string;
  name: string;
  version: number;
  source: string;
  occurred_at: number | string;
  correlation_id: string;
  causation_id: string | null;
  content_type: string;
  /** The user's headers, as JSON. */
  headers: string;
  payload: Buffer | null;
  /** `continue` or `park`. */
  dead_letter_policy: Generated<string>;
}

/** The columns to copy from one table to the other. */
export const ENTRY_COLUMNS = [
  'message_id',
  'destination',
  'topic',
  'message_key',
  'name',
  'version',
  'source',
  'occurred_at',
  'correlation_id',
  'causation_id',
  'content_type',
  'headers',
  'payload',
  'dead_letter_policy',
] as const satisfies readonly (keyof EntryColumns)[];

/** A row is a message that waits for its destination. */
export interface OutboxTable extends EntryColumns {
  id: Generated<BigInteger>;
  /** 0 when its writer did not know of slots. */
  slot: Generated<number>;
}

/** A row is a message that is not to be published yet. */
export interface DelayedTable extends EntryColumns {
  id: Generated<BigInteger>;
  slot: Generated<number>;
  available_at: number | string;
}

/**
 * A row is a key that waits: its entry was refused, and is in the outbox until its retry; or it is a dead letter, and
 * `retry_at` is null. A row whose entry is neither is left over, and holds nothing back.
 */
interface RetryTable {
  destination: string;
  message_key: string;
  entry_id: BigInteger;
  attempts: number;
  retry_at: number | string | null;
  last_error: string;
  last_stack: string | null;
  /** JSON, an array of `{ attempt, at, error }`; null in rows of version 1. */
  history: string | null;
}

interface OutboxDeadLetterTable extends EntryColumns {
  id: Generated<BigInteger>;
  /** The id that it had in the outbox; null in rows of version 1. */
  position: BigInteger | null;
  attempts: number;
  last_error: string;
  stack: string | null;
  history: string | null;
  failed_at: number | string;
}

/** A row is a published message. */
interface ArchiveTable extends EntryColumns {
  /** In the order of publication. */
  id: Generated<BigInteger>;
  /** The id that it had in the outbox. */
  position: BigInteger;
  published_at: number | string;
}

/** A row is a relay that is at work. */
interface RelayTable {
  id: Generated<BigInteger>;
  instance: string;
  slot_count: number;
  lease_ms: number | string;
  expires_at: number | string;
}

interface SlotTable {
  slot: number;
  owner: string | null;
  epoch: number | string;
}

interface InboxTable {
  message_id: string;
  handler: string;
  received_at: number | string;
}

interface InboxDeadLetterTable {
  id: Generated<BigInteger>;
  message_id: string | null;
  name: string | null;
  coordinates: string;
  reason: string;
  headers: string;
  payload: Buffer | null;
  rejected_at: number | string;
  /** Null in rows of version 2, which kept neither topic nor key. */
  topic: string | null;
  message_key: string | null;
  stack: string | null;
  attempts: Generated<number>;
  /** Names of what is not kept as it came, with commas between: `headers,payload`. */
  incomplete_parts: string | null;
}

/** The tables of this package, as Kysely knows them. */
export interface OutboxDatabase {
  cqrs_outbox: OutboxTable;
  cqrs_outbox_delayed: DelayedTable;
  cqrs_outbox_retry: RetryTable;
  cqrs_outbox_dead_letter: OutboxDeadLetterTable;
  cqrs_outbox_archive: ArchiveTable;
  cqrs_outbox_relay: RelayTable;
  cqrs_outbox_slot: SlotTable;
  cqrs_outbox_key_lock: { bucket: number };
  cqrs_inbox: InboxTable;
  cqrs_inbox_dead_letter: InboxDeadLetterTable;
  cqrs_outbox_schema: { version: number };
}

export type OutboxKysely = Kysely<OutboxDatabase>;
export type OutboxTransaction = ControlledTransaction<OutboxDatabase>;
