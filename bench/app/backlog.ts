import { randomBytes } from 'node:crypto';
import { slotOf } from '@cqrs-outbox/core';
import type { InsertedRow, OutboxDatabase } from '../servers/outbox-database.ts';

const KEYS = 100;
const PAYLOAD_BYTES = 300;
/** The default of `forRoot({ slots })`. */
export const SLOTS = 16;
/** Rows of one transaction of {@link fill}; a multiple of the keys, so that they go on in turn. */
const PORTION = 5_000;

/** Rows as the outbox itself would have written them: {@link KEYS} keys in turn, a JSON payload. */
export function backlog(size: number, topic: string): InsertedRow[] {
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(PAYLOAD_BYTES - '{"text":""}'.length) }));
  const now = Date.now();
  return Array.from({ length: size }, (_, index) => [
    idOf(now, index),
    'default',
    topic,
    `key-${index % KEYS}`,
    'bench.happened',
    1,
    'bench',
    now,
    idOf(now, index),
    'application/json',
    '{}',
    payload,
    slotOf(`key-${index % KEYS}`, SLOTS),
  ]);
}

/** Inserts a backlog in portions, so that this process stays small whatever the size. */
export async function fill(database: OutboxDatabase, size: number, topic: string): Promise<void> {
  for (let done = 0; done < size; done += PORTION) {
    const commit = await database.insert(backlog(Math.min(PORTION, size - done), topic));
    await commit();
  }
}

/** In the form and order of a UUID version 7: its place in the unique index matters to the database. */
function idOf(now: number, index: number): string {
  const time = (now + Math.floor(index / 4_096)).toString(16).padStart(12, '0');
  const counter = (index % 4_096).toString(16).padStart(3, '0');
  const random = randomBytes(8).toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-8${random.slice(1, 4)}-${random.slice(4)}`;
}
