import { slotOf } from '@cqrs-outbox/core';
import { v7 as uuidv7 } from 'uuid';
import { SLOTS } from '../app/backlog.ts';
import { COLUMNS } from '../servers/outbox-database.ts';

/** Of each event. */
export const TEXT = 'x'.repeat(250);

/** Of the row that the outbox would insert, as one would write it without it. */
export const INSERT = `insert into cqrs_outbox (${COLUMNS.join(', ')}) values (${COLUMNS.map(() => '?').join(', ')})`;

/** The values of {@link INSERT}. */
export function rowOf(shelfId: number): unknown[] {
  const [id, key] = [uuidv7(), `shelf-${shelfId}`];
  const payload = Buffer.from(JSON.stringify({ shelfId, text: TEXT }));
  return [
    id,
    'default',
    'bench',
    key,
    'bench.book-added',
    1,
    'bench',
    Date.now(),
    id,
    'application/json',
    '{}',
    payload,
    slotOf(key, SLOTS),
  ];
}
