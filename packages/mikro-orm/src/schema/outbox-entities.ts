import { defineEntity, p } from '@mikro-orm/core';
import { KeyType, LongBlobType, LongTextType } from './column-types.js';

/** How a MySQL server shows such a column again differs from how it is declared, which is no change. */
const key = (length: number) => p.type(new KeyType(length)).ignoreSchemaChanges('type', 'collation');
/** SQLite calls it `integer`, and MikroORM would change it for ever. */
const id = () => p.bigint('string').primary().autoincrement().ignoreSchemaChanges('type');
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
};

const outboxEntry = defineEntity({
  name: 'CqrsOutboxEntry',
  tableName: 'cqrs_outbox',
  properties: { id: id(), ...entryProperties },
  indexes: [{ name: 'cqrs_outbox_destination_id', properties: ['destination', 'id'] }],
  uniques: [{ name: 'cqrs_outbox_message_destination', properties: ['messageId', 'destination'] }],
});

const outboxRetry = defineEntity({
  name: 'CqrsOutboxRetry',
  tableName: 'cqrs_outbox_retry',
  properties: {
    destination: key(64).primary(),
    messageKey: key(191).primary(),
    entryId: p.bigint('string'),
    attempts: p.integer(),
    retryAt: p.bigint('number'),
    lastError: longText(),
  },
});

const outboxDeadLetter = defineEntity({
  name: 'CqrsOutboxDeadLetter',
  tableName: 'cqrs_outbox_dead_letter',
  properties: {
    id: id(),
    ...entryProperties,
    attempts: p.integer(),
    lastError: longText(),
    failedAt: p.bigint('number'),
  },
});

const inboxEntry = defineEntity({
  name: 'CqrsInboxEntry',
  tableName: 'cqrs_inbox',
  properties: { messageId: key(64).primary(), handler: key(191).primary(), receivedAt: p.bigint('number') },
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
  },
});

const schemaVersion = defineEntity({
  name: 'CqrsOutboxSchema',
  tableName: 'cqrs_outbox_schema',
  properties: { version: p.integer().unsigned(false).primary().autoincrement(false) },
});

/**
 * The tables of outbox and inbox as MikroORM entities: add them to `entities`, so that the schema generator and
 * migrations see them, and your own tests can read them. The library itself reads and writes past the identity map.
 */
export const outboxEntities = [
  outboxEntry,
  outboxRetry,
  outboxDeadLetter,
  inboxEntry,
  inboxDeadLetter,
  schemaVersion,
] as const;
