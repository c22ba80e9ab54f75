import { DIALECT_TYPES, type SqlDialect } from './sql-dialect.js';

export interface IndexDefinition {
  readonly name: string;
  readonly columns: string;
  readonly isUnique?: boolean;
}

export interface TableDefinition {
  readonly name: string;
  /** Columns and constraints. */
  readonly lines: readonly string[];
  readonly indexes: readonly IndexDefinition[];
}

/** The tables of the current version, but for the one that tells it. */
export function outboxTables(dialect: SqlDialect): TableDefinition[] {
  const { id, key, text, blob, smallint, int, bigint } = DIALECT_TYPES[dialect];
  const table = (name: string, lines: readonly string[], ...indexes: IndexDefinition[]): TableDefinition => ({
    name,
    lines,
    indexes,
  });
  const entry = [
    `message_id ${key(64)} not null`,
    `destination ${key(64)} not null`,
    `topic ${key(191)} not null`,
    `message_key ${key(191)} not null`,
    `name ${key(191)} not null`,
    `version ${smallint} not null`,
    `source ${key(191)} not null`,
    `occurred_at ${bigint} not null`,
    `correlation_id ${key(64)} not null`,
    `causation_id ${key(64)} null`,
    `content_type ${key(100)} not null`,
    `headers ${text} not null`,
    `payload ${blob} null`,
    `dead_letter_policy ${key(16)} not null default 'continue'`,
  ];
  const slot = `slot ${int} not null default 0`;
  return [
    table('cqrs_outbox', [`id ${id}`, ...entry, slot], uniqueMessage('cqrs_outbox'), {
      name: 'cqrs_outbox_destination_slot',
      columns: 'destination, slot, id',
    }),
    table(
      'cqrs_outbox_delayed',
      [`id ${id}`, ...entry, slot, `available_at ${bigint} not null`],
      uniqueMessage('cqrs_outbox_delayed'),
      { name: 'cqrs_outbox_delayed_available_at', columns: 'available_at, id' },
    ),
    table('cqrs_outbox_retry', retryLines(dialect)),
    table(
      'cqrs_outbox_dead_letter',
      [
        `id ${id}`,
        ...entry,
        `position ${bigint} null`,
        `attempts ${int} not null`,
        `last_error ${text} not null`,
        `stack ${text} null`,
        `history ${text} null`,
        `failed_at ${bigint} not null`,
      ],
      uniqueMessage('cqrs_outbox_dead_letter'),
      { name: 'cqrs_outbox_dead_letter_position', columns: 'position' },
      { name: 'cqrs_outbox_dead_letter_key', columns: 'destination, message_key' },
      { name: 'cqrs_outbox_dead_letter_failed_at', columns: 'failed_at' },
    ),
    table(
      'cqrs_outbox_archive',
      [`id ${id}`, ...entry, `position ${bigint} not null`, `published_at ${bigint} not null`],
      uniqueMessage('cqrs_outbox_archive'),
      { name: 'cqrs_outbox_archive_published_at', columns: 'published_at' },
    ),
    table(
      'cqrs_outbox_relay',
      [
        `id ${id}`,
        `instance ${key(64)} not null`,
        `slot_count ${int} not null`,
        `lease_ms ${bigint} not null`,
        `expires_at ${bigint} not null`,
      ],
      { name: 'cqrs_outbox_relay_instance', columns: 'instance', isUnique: true },
    ),
    table('cqrs_outbox_slot', [
      `slot ${int} not null primary key`,
      `owner ${key(64)} null`,
      `epoch ${bigint} not null`,
    ]),
    table('cqrs_outbox_key_lock', [`bucket ${int} not null primary key`]),
    table(
      'cqrs_inbox',
      [
        `message_id ${key(64)} not null`,
        `handler ${key(191)} not null`,
        `received_at ${bigint} not null`,
        'primary key (message_id, handler)',
      ],
      { name: 'cqrs_inbox_received_at', columns: 'received_at' },
    ),
    table(
      'cqrs_inbox_dead_letter',
      [
        `id ${id}`,
        `message_id ${key(191)} null`,
        `name ${key(191)} null`,
        `coordinates ${text} not null`,
        `reason ${text} not null`,
        `headers ${text} not null`,
        `payload ${blob} null`,
        `rejected_at ${bigint} not null`,
        ...inboxLetterLines(dialect),
      ],
      { name: 'cqrs_inbox_dead_letter_message_id', columns: 'message_id' },
      { name: 'cqrs_inbox_dead_letter_rejected_at', columns: 'rejected_at' },
    ),
  ];
}

/** A message has one row for each of its destinations. */
function uniqueMessage(table: string): IndexDefinition {
  return { name: `${table}_message_destination`, columns: 'message_id, destination', isUnique: true };
}

/** Columns and key of `cqrs_outbox_retry`. */
export function retryLines(dialect: SqlDialect): string[] {
  const { key, text, int, bigint } = DIALECT_TYPES[dialect];
  return [
    `destination ${key(64)} not null`,
    `message_key ${key(191)} not null`,
    `entry_id ${bigint} not null`,
    `attempts ${int} not null`,
    `retry_at ${bigint} null`,
    `last_error ${text} not null`,
    `last_stack ${text} null`,
    `history ${text} null`,
    'primary key (destination, message_key)',
  ];
}

/** The columns that version 3 has added to `cqrs_inbox_dead_letter`. */
export function inboxLetterLines(dialect: SqlDialect): string[] {
  const { key, text, int } = DIALECT_TYPES[dialect];
  return [
    // As long as a topic of Kafka, or an exchange of RabbitMQ, may be.
    `topic ${key(255)} null`,
    `message_key ${key(191)} null`,
    `stack ${text} null`,
    `attempts ${int} not null default 0`,
    `incomplete_parts ${key(64)} null`,
  ];
}

/** The indexes of a table beside its primary key, the same in each dialect. */
export function indexesOf(table: string): readonly IndexDefinition[] {
  return outboxTables('mysql').find(({ name }) => name === table)?.indexes ?? [];
}
