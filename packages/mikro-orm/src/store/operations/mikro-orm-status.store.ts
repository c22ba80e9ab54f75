import { StatusStore, type OutboxFigures, type ParkedKey, type SlotBacklog } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import { isBlocking } from '../outbox/blocking-retries.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { findOpenTransaction } from './open-transaction.js';

/** How many parked keys are named. */
const MAX_PARKED_KEYS = 100;

/** Counts what the tables have. */
export class MikroOrmStatusStore extends StatusStore {
  constructor(private readonly connection: OutboxConnection) {
    super();
  }

  async read(): Promise<OutboxFigures> {
    const client = await this.connection.client();
    return {
      backlogs: await this.readBacklogs(client),
      parkedKeys: await this.readParkedKeys(client),
      parkedKeyCount: await countParkedKeys(client),
      delayed: await countByDestination(client, 'cqrs_outbox_delayed'),
      deadLetters: await countByDestination(client, 'cqrs_outbox_dead_letter'),
      inboxDeadLetters: await countInboxDeadLetters(client),
      openTransaction: await findOpenTransaction(this.connection),
    };
  }

  private async readBacklogs(client: OutboxKysely): Promise<SlotBacklog[]> {
    const { rows } = await sql<{
      destination: string;
      slot: number | string;
      pending: number | string;
      age: number | string;
    }>`
      select destination, slot, count(*) as pending, ${this.connection.now} - min(occurred_at) as age
      from cqrs_outbox
      group by destination, slot
      order by destination, slot`.execute(client);
    return rows.map(({ destination, slot, pending, age }) => ({
      destination,
      slot: Number(slot),
      pending: Number(pending),
      oldestAgeMs: Math.max(0, Number(age)),
    }));
  }

  private async readParkedKeys(client: OutboxKysely): Promise<ParkedKey[]> {
    const { rows } = await sql<{
      destination: string;
      message_key: string;
      attempts: number | string;
      last_error: string;
      retry_in: number | string | null;
    }>`
      select r.destination, r.message_key, r.attempts, r.last_error,
        r.retry_at - ${this.connection.now} as retry_in
      from cqrs_outbox_retry r
      where ${isBlocking}
      order by r.destination, r.message_key
      limit ${sql.lit(MAX_PARKED_KEYS)}`.execute(client);
    return rows.map(({ destination, message_key, attempts, last_error, retry_in }) => ({
      destination,
      key: message_key,
      attempts: Number(attempts),
      error: last_error,
      retryInMs: retry_in === null ? undefined : Math.max(0, Number(retry_in)),
    }));
  }
}

async function countParkedKeys(client: OutboxKysely): Promise<number> {
  const { rows } = await sql<{ total: number | string }>`
    select count(*) as total from cqrs_outbox_retry r where ${isBlocking}`.execute(client);
  return Number(rows[0]?.total ?? 0);
}

async function countInboxDeadLetters(client: OutboxKysely): Promise<number> {
  const { rows } = await sql<{ total: number | string }>`
    select count(*) as total from cqrs_inbox_dead_letter`.execute(client);
  return Number(rows[0]?.total ?? 0);
}

async function countByDestination(
  client: OutboxKysely,
  table: 'cqrs_outbox_delayed' | 'cqrs_outbox_dead_letter',
): Promise<Map<string, number>> {
  const { rows } = await sql<{ destination: string; total: number | string }>`
    select destination, count(*) as total from ${sql.table(table)} group by destination order by destination`.execute(
    client,
  );
  return new Map(rows.map(({ destination, total }) => [destination, Number(total)]));
}
