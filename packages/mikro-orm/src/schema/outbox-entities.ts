import { defineEntity, p } from '@mikro-orm/core';
import { KeyType, LongBlobType, LongTextType } from './column-types.js';

/** How a MySQL server shows such a column again differs from how it is declared, which is no change. */
const key = (length: number) => p.type(new KeyType(length)).ignoreSchemaChanges('type', 'collation');
/** SQLite calls it `integer`, and MikroORM would change it for ever. */
const id = () => p.bigint('string').primary().autoincrement().ignoreSchemaChanges('type');
/** A primary key that is no counter. */
const number = () => p.integer().unsigned(false).primary().autoincrement(false);
const longText = () => p.type(LongTextType).ignoreSchemaChanges('type', 'collation');

const entryProperties = {
  messageId: key(64),
  destination: key(64),
  topic: key(191),
  messageKey: key(191),
  name: key(191),
  version: p.smallint(),
  source: key(191),
  occurredAt: p.bigint('number'),
  correlationId: key(64),
  causationId: key(64).nullable(),
  contentType: key(100),
  headers: longText(),
  payload: p.type(LongBlobType).nullable(),
  deadLetterPolicy: key(16).default('continue'),
};
const slot = () => p.integer().default(0);
const unique = (table: string) => ({
  name: `${table}_message_destination`,
  properties: ['messageId', 'destination'] as ('messageId' | 'destination')[],
});

const outboxEntry = defineEntity({
  name: 'CqrsOutboxEntry',
  tableName: 'cqrs_outbox',
  properties: { id: id(), ...entryProperties, slot: slot() },
  indexes: [{ name: 'cqrs_outbox_destination_slot', properties: ['destination', 'slot', 'id'] }],
  uniques: [unique('cqrs_outbox')],
});

const delayedEntry = defineEntity({
  name: 'CqrsOutboxDelayedEntry',
  tableName: 'cqrs_outbox_delayed',
  properties: { id: id(), ...entryProperties, slot: slot(), availableAt: p.bigint('number') },
  indexes: [{ name: 'cqrs_outbox_delayed_available_at', properties: ['availableAt', 'id'] }],
  uniques: [unique('cqrs_outbox_delayed')],
});

const outboxRetry = defineEntity({
  name: 'CqrsOutboxRetry',
  tableName: 'cqrs_outbox_retry',
  properties: {
    destination: key(64).primary(),
    messageKey: key(191).primary(),
    entryId: p.bigint('string'),
    attempts: p.integer(),
    retryAt: p.bigint('number').nullable(),
    lastError: longText(),
    lastStack: longText().nullable(),
    history: longText().nullable(),
  },
});

const outboxDeadLetter = defineEntity({
  name: 'CqrsOutboxDeadLetter',
  tableName: 'cqrs_outbox_dead_letter',
  properties: {
    id: id(),
    ...entryProperties,
    position: p.bigint('string').nullable(),
    attempts: p.integer(),
    lastError: longText(),
    stack: longText().nullable(),
    history: longText().nullable(),
    failedAt: p.bigint('number'),
  },
  indexes: [
    { name: 'cqrs_outbox_dead_letter_position', properties: ['position'] },
    { name: 'cqrs_outbox_dead_letter_key', properties: ['destination', 'messageKey'] },
    { name: 'cqrs_outbox_dead_letter_failed_at', properties: ['failedAt'] },
  ],
  uniques: [unique('cqrs_outbox_dead_letter')],
});

const archivedEntry = defineEntity({
  name: 'CqrsOutboxArchivedEntry',
  tableName: 'cqrs_outbox_archive',
  properties: {
    id: id(),
    ...entryProperties,
    position: p.bigint('string'),
    publishedAt: p.bigint('number'),
  },
  indexes: [{ name: 'cqrs_outbox_archive_published_at', properties: ['publishedAt'] }],
  uniques: [unique('cqrs_outbox_archive')],
});

const relayInstance = defineEntity({
  name: 'CqrsOutboxRelay',
  tableName: 'cqrs_outbox_relay',
  properties: {
    id: id(),
    instance: key(64),
    slotCount: p.integer(),
    leaseMs: p.bigint('number'),
    expiresAt: p.bigint('number'),
  },
  uniques: [{ name: 'cqrs_outbox_relay_instance', properties: ['instance'] }],
});

const relaySlot = defineEntity({
  name: 'CqrsOutboxSlot',
  tableName: 'cqrs_outbox_slot',
  properties: { slot: number(), owner: key(64).nullable(), epoch: p.bigint('number') },
});

const keyLock = defineEntity({
  name: 'CqrsOutboxKeyLock',
  tableName: 'cqrs_outbox_key_lock',
  properties: { bucket: number() },
});

const inboxEntry = defineEntity({
  name: 'CqrsInboxEntry',
  tableName: 'cqrs_inbox',
  properties: { messageId: key(64).primary(), handler: key(191).primary(), receivedAt: p.bigint('number') },
  indexes: [{ name: 'cqrs_inbox_received_at', properties: ['receivedAt'] }],
});

const inboxDeadLetter = defineEntity({
  name: 'CqrsInboxDeadLetter',
  tableName: 'cqrs_inbox_dead_letter',
  properties: {
    id: id(),
    messageId: key(191).nullable(),
    name: key(191).nullable(),
    coordinates: longText(),
    reason: longText(),
    headers: longText(),
    payload: p.type(LongBlobType).nullable(),
    rejectedAt: p.bigint('number'),
    topic: key(255).nullable(),
    messageKey: key(191).nullable(),
    stack: longText().nullable(),
    attempts: p.integer().default(0),
    incompleteParts: key(64).nullable(),
  },
  indexes: [
    { name: 'cqrs_inbox_dead_letter_message_id', properties: ['messageId'] },
    { name: 'cqrs_inbox_dead_letter_rejected_at', properties: ['rejectedAt'] },
  ],
});

const schemaVersion = defineEntity({
  name: 'CqrsOutboxSchema',
  tableName: 'cqrs_outbox_schema',
  properties: { version: number() },
});

/**
 * The tables of outbox and inbox as MikroORM entities: add them to `entities`, so that the schema generator and
 * migrations see them, and your own tests can read them. The library itself reads and writes past the identity map.
 */
export const outboxEntities = [
  outboxEntry,
  delayedEntry,
  outboxRetry,
  outboxDeadLetter,
  archivedEntry,
  relayInstance,
  relaySlot,
  keyLock,
  inboxEntry,
  inboxDeadLetter,
  schemaVersion,
] as const;
