import {
  DuplicateMessageError,
  InboxStore,
  type FailedRetry,
  type InboxDeadLetter,
  type InboxDeadLetterContent,
  type InboxDeadLetterPage,
  type InboxDeadLetterSelection,
  type InboxPair,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import { UniqueConstraintViolationException, type MikroORM } from '@mikro-orm/core';
import { CompiledQuery, sql, type QueryResult } from 'kysely';
import type { OutboxKysely, OutboxTransaction } from '../../schema/tables.js';
import { countOnly } from '../one-trip/one-trip.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { deleteListed } from '../delete-listed.js';
import { isSavepoint } from '../../unit-of-work/outbox.subscriber.js';
import { deleteInboxRows } from './delete-inbox-rows.js';
import { LETTER_COLUMNS, letterConditions, toLetter, type LetterRow } from './set-aside-messages.js';
import { toReason, toSetAsideRow } from './set-aside-row.js';

const KEY = ['message_id', 'handler'] as const;
type InboxKey = Record<(typeof KEY)[number], string>;

/** The inbox tables behind MikroORM's connection. */
export class MikroOrmInboxStore extends InboxStore {
  /** The statements of {@link recordIfNew} and {@link recordAll}, which run for every message, by the number of their rows. */
  readonly #recordings = new Map<number, string>();

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
    if (!(await this.recordIfNew({ messageId, handler }, signal)))
      throw new DuplicateMessageError(messageId, handler);
  }

  override async recordIfNew(pair: InboxPair, signal?: AbortSignal): Promise<boolean> {
    try {
      // PostgreSQL leaves a row out that is there.
      return (await this.insert([pair], signal)).numAffectedRows !== 0n;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  override async recordAll(pairs: readonly InboxPair[], signal?: AbortSignal): Promise<boolean[]> {
    if (pairs.length < 2) return super.recordAll(pairs, signal);
    try {
      const { rows } = await this.insert(pairs, signal);
      // The others refuse all of them for one that is there.
      return this.connection.dialect === 'postgresql' ? whichAreIn(rows, pairs) : pairs.map(() => true);
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      // One of them was there, and so none was inserted.
      return super.recordAll(pairs, signal);
    }
  }

  async forget(pairs: readonly InboxPair[]): Promise<void> {
    const keys = pairs.map(({ messageId, handler }) => ({ message_id: messageId, handler }));
    await deleteInboxRows(this.transaction, this.connection.dialect, keys);
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

  private get transaction(): OutboxTransaction {
    const transaction = this.orm.em.getTransactionContext<object>();
    if (!transaction) throw new TypeError('The inbox needs the transaction of the handler.');
    return this.connection.asTransaction(transaction);
  }

  /** @throws UniqueConstraintViolationException of MikroORM, when the database has refused a row that is there */
  private async insert(
    pairs: readonly InboxPair[],
    signal: AbortSignal | undefined,
  ): Promise<QueryResult<InboxKey>> {
    const { transaction } = this;
    const statement = this.recordingOf(pairs.length, transaction);
    const values = pairs.flatMap(({ messageId, handler }) => [messageId, handler]);
    const query = CompiledQuery.raw(statement, values) as CompiledQuery<InboxKey>;
    try {
      return await transaction.executeQuery(
        pairs.length === 1 ? countOnly(query) : query,
        this.cancelling(transaction, signal),
      );
    } catch (error) {
      throw this.connection.convert(error);
    }
  }

  private recordingOf(rows: number, transaction: OutboxTransaction): string {
    const known = this.#recordings.get(rows);
    if (known) return known;
    const { now, dialect } = this.connection;
    const row = { message_id: '', handler: '', received_at: now };
    const insert = transaction.insertInto('cqrs_inbox').values(Array.from({ length: rows }, () => row));
    // The transaction goes on, in which PostgreSQL allows no statement to fail.
    const forPostgres = insert.onConflict((on) => on.doNothing());
    const { sql: statement } = (
      dialect !== 'postgresql' ? insert : rows === 1 ? forPostgres : forPostgres.returning(KEY)
    ).compile();
    this.#recordings.set(rows, statement);
    return statement;
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

function isDuplicate(error: unknown): boolean {
  return error instanceof UniqueConstraintViolationException;
}

/** Which of the pairs were inserted: one that comes twice was, once. */
function whichAreIn(rows: readonly InboxKey[], pairs: readonly InboxPair[]): boolean[] {
  if (rows.length === pairs.length) return pairs.map(() => true);
  const inserted = new Set(rows.map(({ message_id, handler }) => textOf(message_id, handler)));
  return pairs.map(({ messageId, handler }) => inserted.delete(textOf(messageId, handler)));
}

function textOf(messageId: string, handler: string): string {
  return JSON.stringify([messageId, handler]);
}
