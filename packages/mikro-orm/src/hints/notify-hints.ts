import { CommitHints, type StopListening } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxConnection } from '../store/outbox-connection.js';
import { NotifyConnection } from './notify-connection.js';
import { dedicatedClient } from './pg-client.js';

const DATABASE_NAMES = { mysql: 'MySQL and MariaDB have', sqlite: 'SQLite has' } as const;

/**
 * Hints by LISTEN and NOTIFY of PostgreSQL, on one connection beside MikroORM's pool, which is made when it is needed
 * first: a hint must not wait for a connection while all are in transactions, and one that hangs takes none of theirs.
 *
 * A channel belongs to a database. Its name has the schema of the outbox's tables, so that outboxes in other schemas of it
 * don't wake each other: `cqrs_outbox_` and the schema's oid.
 */
export class NotifyHints extends CommitHints {
  #channel: string | undefined;
  #opening: Promise<NotifyConnection> | undefined;
  #isClosed = false;

  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  override faults(): string[] {
    const { dialect } = this.connection;
    if (dialect === 'postgresql') return [];
    return [
      `true, but ${DATABASE_NAMES[dialect]} no LISTEN/NOTIFY, PostgreSQL alone has: leave it out, or give CommitHints of your own`,
    ];
  }

  async announce(hint: string): Promise<void> {
    const connection = await this.open();
    await connection.notify(hint);
  }

  async listen(onHint: (hint: string) => void, onLost: (reason: unknown) => void): Promise<StopListening> {
    const connection = await this.open();
    return connection.listen({ onHint, onLost });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const connection = await this.#opening?.catch(() => undefined);
    await connection?.close();
  }

  /** The connection that is open, or a new one. */
  private async open(): Promise<NotifyConnection> {
    if (this.#isClosed) throw new Error('The hints are closed');
    const opening = (this.#opening ??= this.connect());
    // One that has failed is not kept.
    opening.catch(() => this.forget(opening));
    return opening;
  }

  private async connect(): Promise<NotifyConnection> {
    // By the pool, whose hooks may set a search path.
    this.#channel ??= await channelOf(this.connection);
    const client = dedicatedClient(await this.connection.nativeClient());
    const opening = this.#opening;
    const connection = await NotifyConnection.open(client, this.#channel, () => this.forget(opening));
    if (!this.#isClosed) return connection;
    // Who has closed the hints need not have waited for so long.
    await connection.close();
    throw new Error('The hints are closed');
  }

  private forget(opening: Promise<NotifyConnection> | undefined): void {
    if (this.#opening === opening) this.#opening = undefined;
  }
}

async function channelOf(connection: OutboxConnection): Promise<string> {
  const { rows } = await sql<{ channel: string }>`
    select 'cqrs_outbox_' || cast(relnamespace as text) as channel
    from pg_class where oid = to_regclass('cqrs_outbox')`.execute(await connection.client());
  const [row] = rows;
  if (!row) throw new Error('There is no table cqrs_outbox');
  return row.channel;
}
