import { ArchiveStore, type ArchiveSelection, type Lease, type StoredEntry } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import { ENTRY_COLUMNS, type OutboxKysely } from '../../schema/tables.js';
import { leaseFence } from '../lease-fence.js';
import type { OutboxConnection } from '../outbox-connection.js';
import {
  byPrimaryKey,
  columnList,
  ignoringConflicts,
  joinInOrder,
  isListed,
  listedIds,
  writtenRows,
} from '../statements.js';
import { deleteListed } from '../delete-listed.js';

/** How many entries are replayed at a time. */
const REPLAY_SIZE = 500;

/** The table of published entries. Its ids are in the order of publication, and are the positions of a replay. */
export class MikroOrmArchiveStore extends ArchiveStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async add(entries: readonly StoredEntry[], leases: readonly Lease[]): Promise<void> {
    if (entries.length === 0 || leases.length === 0) return;
    const { dialect, now } = this.connection;
    const leased = leaseFence(dialect, leases);
    const ids = entries.map(({ position }) => position);
    await this.connection.withLockRetries((client) =>
      sql`
        insert into cqrs_outbox_archive (position, ${columnList(ENTRY_COLUMNS)}, published_at)
        select o.id, ${columnList(ENTRY_COLUMNS, 'o')}, ${now}
        from ${listedIds(dialect, ids)} listed
        ${joinInOrder(dialect)} cqrs_outbox o ${byPrimaryKey(dialect)} on o.id = listed.id
        ${joinInOrder(dialect)} ${leased.table} on ${leased.covers(sql`o.slot`)}
        where ${isListed(dialect, sql`o.id`, ids)}
        order by o.id
        ${ignoringConflicts(dialect, 'cqrs_outbox_archive', 'id')}`.execute(client),
    );
  }

  async replay(
    selection: ArchiveSelection,
    after: string | undefined,
  ): Promise<{ replayed: number; last: string | undefined }> {
    return this.connection.withLockRetries(async (client) => {
      const ids = await this.select(client, selection, after);
      const replayed = ids.length === 0 ? 0 : await this.copy(client, ids);
      return { replayed, last: ids.length < REPLAY_SIZE ? undefined : ids.at(-1) };
    });
  }

  async purge(retentionMs: number, limit: number): Promise<number> {
    return this.connection.withLockRetries(async (client) => {
      const rows = await client
        .selectFrom('cqrs_outbox_archive')
        .select('id')
        .where('published_at', '<', sql<number>`${this.connection.now} - ${sql.lit(retentionMs)}`)
        .orderBy('published_at')
        .limit(limit)
        .execute();
      const ids = rows.map(({ id }) => String(id));
      return deleteListed(client, this.connection.dialect, {
        table: 'cqrs_outbox_archive',
        column: 'id',
        ids,
      });
    });
  }

  private async select(
    client: OutboxKysely,
    { from, to, key, name, destination }: ArchiveSelection,
    after: string | undefined,
  ): Promise<string[]> {
    let query = client.selectFrom('cqrs_outbox_archive').select('id');
    if (after !== undefined) query = query.where('id', '>', BigInt(after));
    if (from) query = query.where('published_at', '>=', from.getTime());
    if (to) query = query.where('published_at', '<', to.getTime());
    if (key !== undefined) query = query.where('message_key', '=', key);
    if (name !== undefined) query = query.where('name', '=', name);
    if (destination !== undefined) query = query.where('destination', '=', destination);
    const rows = await query.orderBy('id').limit(REPLAY_SIZE).execute();
    return rows.map(({ id }) => String(id));
  }

  private async copy(client: OutboxKysely, ids: readonly string[]): Promise<number> {
    const { dialect } = this.connection;
    const result = await sql`
      insert into cqrs_outbox (${columnList(ENTRY_COLUMNS)})
      select ${columnList(ENTRY_COLUMNS, 'a')}
      from ${listedIds(dialect, ids)} listed
      ${joinInOrder(dialect)} cqrs_outbox_archive a ${byPrimaryKey(dialect)} on a.id = listed.id
      where ${isListed(dialect, sql`a.id`, ids)} and not exists (
        select 1 from cqrs_outbox o where o.message_id = a.message_id and o.destination = a.destination)
      order by a.id
      ${ignoringConflicts(dialect, 'cqrs_outbox', 'id')}`.execute(client);
    return writtenRows(result);
  }
}
