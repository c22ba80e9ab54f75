import { DuplicateMessageError, InboxStore, type RejectedMessage } from '@cqrs-outbox/core';
import { UniqueConstraintViolationException, type MikroORM } from '@mikro-orm/core';
import { sql } from 'kysely';
import type { OutboxConnection } from '../outbox-connection.js';
import { deleteInboxRows } from './delete-inbox-rows.js';
import { printable } from '../printable-text.js';

/** What is kept of a hostile message. */
const MAX_TEXT_LENGTH = 2_000;
const MAX_NAME_LENGTH = 191;
const MAX_HEADERS_LENGTH = 64 * 1024;
const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

/** The inbox tables behind MikroORM's connection. */
export class MikroOrmInboxStore extends InboxStore {
  constructor(
    private readonly orm: MikroORM,
    private readonly connection: OutboxConnection,
  ) {
    super();
  }

  async ping(): Promise<void> {
    await this.connection.run('select 1');
  }

  async record(messageId: string, handler: string): Promise<void> {
    const current = this.orm.em.getTransactionContext<object>();
    if (!current) throw new TypeError('InboxStore.record needs the transaction of the handler.');
    const transaction = this.connection.asTransaction(current);
    try {
      await transaction
        .insertInto('cqrs_inbox')
        .values({ message_id: messageId, handler, received_at: this.connection.now })
        .execute();
    } catch (error) {
      const exception = this.connection.convert(error);
      if (exception instanceof UniqueConstraintViolationException)
        throw new DuplicateMessageError(messageId, handler);
      throw exception;
    }
  }

  async setAside({ messageId, name, coordinates, reason, headers, payload }: RejectedMessage): Promise<void> {
    const client = await this.connection.client();
    await client
      .insertInto('cqrs_inbox_dead_letter')
      .values({
        message_id: messageId === undefined ? null : printable(messageId, MAX_NAME_LENGTH),
        name: name === undefined ? null : printable(name, MAX_NAME_LENGTH),
        coordinates: printable(coordinates, MAX_TEXT_LENGTH),
        reason: printable(reason, MAX_TEXT_LENGTH),
        headers: printable(JSON.stringify(headers), MAX_HEADERS_LENGTH),
        payload: payload && payload.subarray(0, MAX_PAYLOAD_BYTES),
        rejected_at: this.connection.now,
      })
      .execute();
  }

  /** Reads which first, and deletes them by their keys: a handler that records a message meets no lock of it. */
  async purge(retentionMs: number, limit: number): Promise<number> {
    const { now, dialect } = this.connection;
    return this.connection.withLockRetries(async (client) => {
      const keys = await client
        .selectFrom('cqrs_inbox')
        .select(['message_id', 'handler'])
        .where('received_at', '<', sql<number>`${now} - ${sql.lit(retentionMs)}`)
        .orderBy('received_at')
        .limit(limit)
        .execute();
      return keys.length === 0 ? 0 : deleteInboxRows(client, dialect, keys);
    });
  }
}
