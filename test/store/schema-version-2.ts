import type { SqlDialect } from '@cqrs-outbox/mikro-orm';
import { TYPES } from './schema-version-1.ts';

type Index = readonly [name: string, columns: string, isUnique?: 'unique'];

/** Frozen: the statements of version 2, as it was released. */
export function outboxSchemaVersion2(dialect: SqlDialect): string[] {
  const { id, key, text, blob, smallint, int, bigint, tableOptions } = TYPES[dialect];
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
  // MySQL alone has no `create index if not exists`, and it alone takes indexes inside of `create table`.
  const isInline = dialect === 'mysql';
  const table = (name: string, columns: readonly string[], ...indexes: Index[]): string[] => {
    const inline = indexes.map(([index, of, isUnique]) => `${isUnique ? 'unique ' : ''}key ${index} (${of})`);
    const lines = [...columns, ...(isInline ? inline : [])];
    return [
      `create table if not exists ${name} (\n  ${lines.join(',\n  ')}\n)${tableOptions}`,
      ...(isInline ? [] : indexes).map(
        ([index, of, isUnique]) =>
          `create ${isUnique ? 'unique ' : ''}index if not exists ${index} on ${name} (${of})`,
      ),
    ];
  };
  const ofMessage = (name: string): Index => [
    `${name}_message_destination`,
    'message_id, destination',
    'unique',
  ];
  const digits = Array.from({ length: 16 }, (_, digit) => `select ${digit} as n`).join(' union all ');
  return [
    ...table('cqrs_outbox', [`id ${id}`, ...entry, slot], ofMessage('cqrs_outbox'), [
      'cqrs_outbox_destination_slot',
      'destination, slot, id',
    ]),
    ...table(
      'cqrs_outbox_delayed',
      [`id ${id}`, ...entry, slot, `available_at ${bigint} not null`],
      ofMessage('cqrs_outbox_delayed'),
      ['cqrs_outbox_delayed_available_at', 'available_at, id'],
    ),
    ...table('cqrs_outbox_retry', [
      `destination ${key(64)} not null`,
      `message_key ${key(191)} not null`,
      `entry_id ${bigint} not null`,
      `attempts ${int} not null`,
      `retry_at ${bigint} null`,
      `last_error ${text} not null`,
      `last_stack ${text} null`,
      `history ${text} null`,
      'primary key (destination, message_key)',
    ]),
    ...table(
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
      ofMessage('cqrs_outbox_dead_letter'),
      ['cqrs_outbox_dead_letter_position', 'position'],
      ['cqrs_outbox_dead_letter_key', 'destination, message_key'],
      ['cqrs_outbox_dead_letter_failed_at', 'failed_at'],
    ),
    ...table(
      'cqrs_outbox_archive',
      [`id ${id}`, ...entry, `position ${bigint} not null`, `published_at ${bigint} not null`],
      ofMessage('cqrs_outbox_archive'),
      ['cqrs_outbox_archive_published_at', 'published_at'],
    ),
    ...table(
      'cqrs_outbox_relay',
      [
        `id ${id}`,
        `instance ${key(64)} not null`,
        `slot_count ${int} not null`,
        `lease_ms ${bigint} not null`,
        `expires_at ${bigint} not null`,
      ],
      ['cqrs_outbox_relay_instance', 'instance', 'unique'],
    ),
    ...table('cqrs_outbox_slot', [
      `slot ${int} not null primary key`,
      `owner ${key(64)} null`,
      `epoch ${bigint} not null`,
    ]),
    ...table('cqrs_outbox_key_lock', [`bucket ${int} not null primary key`]),
    ...table(
      'cqrs_inbox',
      [
        `message_id ${key(64)} not null`,
        `handler ${key(191)} not null`,
        `received_at ${bigint} not null`,
        'primary key (message_id, handler)',
      ],
      ['cqrs_inbox_received_at', 'received_at'],
    ),
    ...table('cqrs_inbox_dead_letter', [
      `id ${id}`,
      `message_id ${key(191)} null`,
      `name ${key(191)} null`,
      `coordinates ${text} not null`,
      `reason ${text} not null`,
      `headers ${text} not null`,
      `payload ${blob} null`,
      `rejected_at ${bigint} not null`,
    ]),
    ...table('cqrs_outbox_schema', [`version ${int} not null primary key`]),
    `insert into cqrs_outbox_key_lock (bucket) select a.n * 16 + b.n from (${digits}) a cross join (${digits}) b`,
    `insert into cqrs_outbox_schema (version) select 2 ` +
      `${dialect === 'mysql' ? 'from dual ' : ''}where not exists (select 1 from cqrs_outbox_schema)`,
  ];
}
