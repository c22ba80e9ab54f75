import type { OutboxRows, RawRow } from '../servers/outbox-rows.ts';

const BATCH_SIZE = 500;

/**
 * The floor: the shortest loop that moves the table to a broker, with nothing between it and the drivers. It sends the
 * same messages, byte for byte, but takes no care of anything: no retries, no refused messages, no held keys, no
 * second destination.
 *
 * @param publish resolves when the broker has acknowledged all of them
 */
export async function drainByHand(
  database: Pick<OutboxRows, 'select' | 'remove'>,
  publish: (rows: readonly RawRow[]) => Promise<void>,
): Promise<void> {
  let next = database.select(0, BATCH_SIZE);
  for (;;) {
    const rows = await next;
    const last = rows.at(-1);
    if (!last) return;
    next = database.select(last.id, BATCH_SIZE);
    await publish(rows);
    await database.remove(rows.map(({ id }) => id));
  }
}
