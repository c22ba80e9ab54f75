import type { ControlledTransaction, Generated, Kysely } from 'kysely';

/** The version of the tables; it goes up with each change of theirs. */
export const SCHEMA_VERSION = 1;

/** What `cqrs_outbox` and its dead letters have in common. All instants are milliseconds since 1970, UTC. */
interface EntryColumns {
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
] as const satisfies readonly (keyof EntryColumns)[];

/** A row is a message that waits for its destination. */
export interface OutboxTable extends EntryColumns {
  id: Generated<number | string | bigint>;
}

/** A row is a key whose head entry was refused and waits for its retry. */
interface RetryTable {
  destination: string;
  message_key: string;
  entry_id: number | string | bigint;
  attempts: number;
  retry_at: number | string;
  last_error: string;
}

interface OutboxDeadLetterTable extends EntryColumns {
  id: Generated<number | string>;
  attempts: number;
  last_error: string;
  failed_at: number | string;
}

interface InboxTable {
  message_id: string;
  handler: string;
  received_at: number | string;
}

interface InboxDeadLetterTable {
  id: Generated<number | string>;
  message_id: string | null;
  name: string | null;
  coordinates: string;
  reason: string;
  headers: string;
  payload: Buffer | null;
  rejected_at: number | string;
}

/** The tables of this package, as Kysely knows them. */
export interface OutboxDatabase {
  cqrs_outbox: OutboxTable;
  cqrs_outbox_retry: RetryTable;
  cqrs_outbox_dead_letter: OutboxDeadLetterTable;
  cqrs_inbox: InboxTable;
  cqrs_inbox_dead_letter: InboxDeadLetterTable;
  cqrs_outbox_schema: { version: number };
}

export type OutboxKysely = Kysely<OutboxDatabase>;
export type OutboxTransaction = ControlledTransaction<OutboxDatabase>;
