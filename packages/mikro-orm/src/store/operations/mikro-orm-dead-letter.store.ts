import {
  DeadLetterStore,
  type DeadLetter,
  type DeadLetterPage,
  type DeadLetterSelection,
} from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxConnection } from '../outbox-connection.js';
import {
  deadLetterConditions,
  isBuried,
  isParking,
  toDeadLetter,
  type DeadLetterRow,
} from './dead-letter-rows.js';
import { deleteListed } from '../delete-listed.js';
import { discardLetters, requeueLetters } from './move-dead-letters.js';

/** How many dead letters are requeued or discarded at a time. */
const BATCH_SIZE = 500;

/** The table of dead letters. One whose entry is still in the outbox, after a crash, is none yet. */
export class MikroOrmDeadLetterStore extends DeadLetterStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async list({ after, limit, ...selection }: DeadLetterPage): Promise<DeadLetter[]> {
    const { rows } = await sql<DeadLetterRow>`
      select d.*, case when ${isParking} then 1 else 0 end as is_parking
      from cqrs_outbox_dead_letter d
      where ${deadLetterConditions(selection)} and d.id > ${BigInt(after ?? 0)}
      order by d.id
      limit ${sql.lit(limit)}`.execute(await this.connection.client());
    return rows.map(toDeadLetter);
  }

  async newest(): Promise<string | undefined> {
    const { rows } = await sql<{ id: number | string | null }>`
      select max(id) as id from cqrs_outbox_dead_letter`.execute(await this.connection.client());
    const id = rows[0]?.id;
    return id === null || id === undefined ? undefined : String(id);
  }

  async requeue(selection: DeadLetterSelection): Promise<number> {
    return this.moveEach(selection, requeueLetters);
  }

  async discard(selection: DeadLetterSelection): Promise<number> {
    return this.moveEach(selection, discardLetters);
  }

  async purge(retentionMs: number, limit: number): Promise<number> {
    const { dialect, now } = this.connection;
    return this.connection.withLockRetries(async (client) => {
      const { rows } = await sql<{ id: number | string }>`
        select d.id from cqrs_outbox_dead_letter d
        where d.failed_at < ${now} - ${sql.lit(retentionMs)} and ${isBuried} and not (${isParking})
        order by d.failed_at
        limit ${sql.lit(limit)}`.execute(client);
      const ids = rows.map(({ id }) => String(id));
      return deleteListed(client, dialect, { table: 'cqrs_outbox_dead_letter', column: 'id', ids });
    });
  }

  /** Chooses the dead letters by a plain read first, so that only they are locked. */
  private async moveEach(selection: DeadLetterSelection, move: typeof requeueLetters): Promise<number> {
    const { dialect } = this.connection;
    return this.connection.withLockRetries((client) =>
      client.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ id: number | string }>`
          select d.id from cqrs_outbox_dead_letter d
          where ${deadLetterConditions(selection)}
          order by coalesce(d.position, 0), d.id
          limit ${sql.lit(BATCH_SIZE)}`.execute(transaction);
        const ids = rows.map(({ id }) => String(id));
        return ids.length === 0 ? 0 : move(transaction, dialect, ids);
      }),
    );
  }
}
