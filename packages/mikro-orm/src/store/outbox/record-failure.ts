import type { Failure, Lease, StoredEntry } from '@cqrs-outbox/core';
import { sql, type RawBuilder } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import { addToHistory } from '../failure-history.js';
import { leaseFence } from '../lease-fence.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { printable } from '../printable-text.js';
import { columnList, overwriting, textOf, writtenRows } from '../statements.js';

/** What is kept of an error's text. */
const MAX_ERROR_LENGTH = 2_000;
/** What is kept of its stack. */
const MAX_STACK_LENGTH = 8_000;

const KEY = ['destination', 'message_key'] as const;
const VALUES = ['entry_id', 'attempts', 'retry_at', 'last_error', 'last_stack', 'history'] as const;

/** A refusal to write down. */
export interface Refusal {
  readonly entry: StoredEntry;
  readonly failure: Failure;
  readonly lease: Lease;
  /** Milliseconds until the retry; undefined: the entry is about to become a dead letter that parks its key. */
  readonly delayMs: number | undefined;
}

/**
 * Writes the row of the key in cqrs_outbox_retry, as one statement that makes sure of the lease and of the entry. It may
 * be repeated: what it writes depends on the attempts that the caller knows of, not on those in the row.
 *
 * @returns false when the lease was lost, or the entry is gone
 */
export async function recordFailure(
  client: OutboxKysely,
  connection: OutboxConnection,
  { entry, failure, lease, delayMs }: Refusal,
): Promise<boolean> {
  const { dialect, now } = connection;
  const history = await readHistory(client, now, entry);
  const leased = leaseFence(dialect, [lease]);
  const stack = failure.stack === undefined ? null : printable(failure.stack, MAX_STACK_LENGTH);
  const result = await sql`
    insert into cqrs_outbox_retry (${columnList([...KEY, ...VALUES])})
    select o.destination, o.message_key, o.id, ${sql.lit(entry.attempts + 1)},
      ${delayMs === undefined ? NOT_BY_ITSELF : sql`${now} + ${sql.lit(Math.round(delayMs))}`},
      ${textOf(dialect, printable(failure.error, MAX_ERROR_LENGTH))}, ${textOf(dialect, stack)},
      ${textOf(dialect, addToHistory(history, failure.error))}
    from ${leased.table}
    join cqrs_outbox o on ${leased.covers(sql`o.slot`)}
    where o.id = ${BigInt(entry.position)}
    ${overwriting(dialect, KEY, VALUES)}`.execute(client);
  return writtenRows(result) > 0;
}

const NOT_BY_ITSELF = sql`null`;

/** The refusals before this one. */
async function readHistory(
  client: OutboxKysely,
  now: RawBuilder<number | string>,
  { destination, key, position, attempts }: StoredEntry,
): Promise<{ json: string | null; attempts: number; at: Date }> {
  const { rows } = await sql<{ at: number | string; history: string | null }>`
    select ${now} as at, r.history
    from (select 1 as one) x
    left join cqrs_outbox_retry r
      on r.destination = ${destination} and r.message_key = ${key} and r.entry_id = ${BigInt(position)}`.execute(
    client,
  );
  return { json: rows[0]?.history ?? null, attempts, at: new Date(Number(rows[0]?.at ?? Date.now())) };
}
