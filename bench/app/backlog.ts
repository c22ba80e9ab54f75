import { randomBytes } from 'node:crypto';
import { slotOf } from '@cqrs-outbox/core';
import type { InsertedRow, OutboxDatabase } from '../servers/outbox-database.ts';

/** What a backlog is made of. */
export interface BacklogShape {
  /** How many keys take turns. @defaultValue 100 */
  readonly keys?: number;
  /** @defaultValue 300 */
  readonly payloadBytes?: number;
  /** How many slots the keys are spread over. @defaultValue 16, as that of `forRoot({ slots })` */
  readonly slots?: number;
  /** @defaultValue `default` */
  readonly destination?: string;
}

/** The default of `forRoot({ slots })`. */
export const SLOTS = 16;
/** Rows of one transaction of {@link fill}. */
const PORTION = 5_000;

/** Rows as the outbox itself would have written them: keys in turn, a JSON payload. */
export function backlog(size: number, topic: string, shape: BacklogShape = {}): InsertedRow[] {
  const { keys = 100, payloadBytes = 300, slots = SLOTS, destination = 'default' } = shape;
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(payloadBytes - '{"text":""}'.length) }));
  const now = Date.now();
  return Array.from({ length: size }, (_, index) => [
    idOf(now, index),
    destination,
    topic,
    `key-${index % keys}`,
    'bench.happened',
    1,
    'bench',
    now,
    idOf(now, index),
    'application/json',
    '{}',
    payload,
    slotOf(`key-${index % keys}`, slots),
  ]);
}

/** Inserts a backlog in portions, so that this process stays small whatever the size. */
export async function fill(
  database: OutboxDatabase,
  size: number,
  topic: string,
  shape: BacklogShape = {},
): Promise<void> {
  for (let done = 0; done < size; done += PORTION) {
    const commit = await database.insert(backlog(Math.min(PORTION, size - done), topic, shape));
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
