import {
  DuplicateMessageError,
  InboxStore,
  type FailedRetry,
  type InboxDeadLetter,
  type InboxDeadLetterContent,
  type InboxDeadLetterPage,
  type InboxDeadLetterSelection,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import { UniqueConstraintViolationException, type MikroORM } from '@mikro-orm/core';
import { CompiledQuery, sql } from 'kysely';
import type { OutboxKysely, OutboxTransaction } from '../../schema/tables.js';
import { countOnly } from '../one-trip.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { deleteListed } from '../delete-listed.js';
import { isSavepoint } from '../../unit-of-work/outbox.subscriber.js';
import { deleteInboxRows } from './delete-inbox-rows.js';
import { LETTER_COLUMNS, letterConditions, toLetter, type LetterRow } from './set-aside-messages.js';
import { toReason, toSetAsideRow } from './set-aside-row.js';

/** The inbox tables behind MikroORM's connection. */
export class MikroOrmInboxStore extends InboxStore {
  /** The statement of {@link record}, which runs for every message. */
  #recording: string | undefined;

  constructor(
    private readonly orm: MikroORM,
    private readonly connection: OutboxConnection,
  ) {
    super();
  }

  async ping(): Promise<void> {
    await this.connection.run('select 1');
  }

  async record(messageId: string, handler: string, signal?: AbortSignal): Promise<void> {
    const current = this.orm.em.getTransactionContext<object>();
    if (!current) throw new TypeError('InboxStore.record needs the transaction of the handler.');
    const transaction = this.connection.asTransaction(current);
    const statement = (this.#recording ??= this.compileRecording(transaction));
    const query = countOnly(CompiledQuery.raw(statement, [messageId, handler]));
    try {
      const { numAffectedRows } = await transaction.executeQuery(query, this.cancelling(current, signal));
      if (numAffectedRows !== 0n) return;
    } catch (error) {
      const exception = this.connection.convert(error);
      if (!(exception instanceof UniqueConstraintViolationException)) throw exception;
    }
    throw new DuplicateMessageError(messageId, handler);
  }

  async setAside(message: RejectedMessage): Promise<void> {
    const client = await this.connection.client();
    await client
      .insertInto('cqrs_inbox_dead_letter')
      .values({ ...toSetAsideRow(message), rejected_at: this.connection.now })
      .execute();
  }

  async listSetAside({ order, after, limit, ...selection }: InboxDeadLetterPage): Promise<InboxDeadLetter[]> {
    const [isNext, direction] = order === 'oldest first' ? [sql`>`, sql`asc`] : [sql`<`, sql`desc`];
    const rest = after === undefined ? sql`1 = 1` : sql`id ${isNext} ${BigInt(after)}`;
    const { rows } = await sql<LetterRow>`
      select ${LETTER_COLUMNS} from cqrs_inbox_dead_letter
      where ${letterConditions(selection)} and ${rest}
      order by id ${direction}
      limit ${sql.lit(limit)}`.execute(await this.connection.client());
    return rows.map(toLetter);
  }

  async readSetAside(deadLetterId: string): Promise<InboxDeadLetterContent | undefined> {
    const { rows } = await sql<LetterRow & { payload: Uint8Array | null }>`
      select ${LETTER_COLUMNS}, payload from cqrs_inbox_dead_letter
      where ${letterConditions({ deadLetterId })}`.execute(await this.connection.client());
    const [row] = rows;
    return row && { ...toLetter(row), payload: row.payload && Buffer.from(row.payload) };
  }

  async countSetAside(selection: InboxDeadLetterSelection): Promise<number> {
    const { rows } = await sql<{ total: number | string }>`
      select count(*) as total from cqrs_inbox_dead_letter
      where ${letterConditions(selection)}`.execute(await this.connection.client());
    return Number(rows[0]?.total ?? 0);
  }

  async recordFailedRetry(
    deadLetterId: string,
    { attemptsBefore, ...failure }: FailedRetry,
  ): Promise<boolean> {
    const { numUpdatedRows } = await this.connection.withLockRetries((client) =>
      client
        .updateTable('cqrs_inbox_dead_letter')
        .set(toReason(failure))
        .where('id', '=', BigInt(deadLetterId))
        .where('attempts', '=', attemptsBefore)
        .executeTakeFirstOrThrow(),
    );
    return numUpdatedRows > 0n;
  }

  async deleteSetAside(deadLetterIds: readonly string[]): Promise<number> {
    return this.connection.withLockRetries((client) => this.deleteLetters(client, deadLetterIds));
  }

  async purgeSetAside(retentionMs: number, limit: number): Promise<number> {
    return this.connection.withLockRetries(async (client) => {
      const rows = await client
        .selectFrom('cqrs_inbox_dead_letter')
        .select('id')
        .where('rejected_at', '<', this.before(retentionMs))
        .orderBy('rejected_at')
        .limit(limit)
        .execute();
      return this.deleteLetters(
        client,
        rows.map(({ id }) => String(id)),
      );
    });
  }

  /** Reads which first, and deletes them by their keys: a handler that records a message meets no lock of it. */
  async purge(retentionMs: number, limit: number): Promise<number> {
    return this.connection.withLockRetries(async (client) => {
      const keys = await client
        .selectFrom('cqrs_inbox as i')
        .select(['i.message_id', 'i.handler'])
        .where('i.received_at', '<', this.before(retentionMs))
        .where(
          sql<boolean>`not exists (
          select 1 from cqrs_inbox_dead_letter d where d.message_id = i.message_id)`,
        )
        .orderBy('i.received_at')
        .limit(limit)
        .execute();
      return keys.length === 0 ? 0 : deleteInboxRows(client, this.connection.dialect, keys);
    });
  }

  /** A transaction of the unit of work cancels its statements by itself, a savepoint does not. */
  private cancelling(transaction: object, signal: AbortSignal | undefined) {
    if (!signal || !isSavepoint(transaction) || !this.connection.canCancel) return undefined;
    return { signal, inflightQueryAbortStrategy: 'cancel query' } as const;
  }

  private compileRecording(transaction: OutboxTransaction): string {
    const { now, dialect } = this.connection;
    const row = { message_id: '', handler: '', received_at: now };
    const insert = transaction.insertInto('cqrs_inbox').values(row);
    // The transaction goes on, in which PostgreSQL allows no statement to fail.
    return (dialect === 'postgresql' ? insert.onConflict((on) => on.doNothing()) : insert).compile().sql;
  }

  private before(retentionMs: number) {
    return sql<number>`${this.connection.now} - ${sql.lit(retentionMs)}`;
  }

  private deleteLetters(client: OutboxKysely, ids: readonly string[]): Promise<number> {
    return deleteListed(client, this.connection.dialect, {
      table: 'cqrs_inbox_dead_letter',
      column: 'id',
      ids,
    });
  }
}
