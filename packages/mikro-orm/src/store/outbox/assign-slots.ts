import { slotOf } from '@cqrs-outbox/core';
import { sql } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';
import type { OutboxKysely } from '../../schema/tables.js';
import type { OutboxConnection } from '../outbox-connection.js';
import { byPrimaryKey } from '../statements.js';
import { misplacedSlots, OutboxIndex } from './outbox-index.js';

/** How many entries get their slots at a time. */
const BATCH_SIZE = 1_000;

/** Gives entries whose slot is none of this count the one that their key has. */
export async function assignSlots(
  connection: OutboxConnection,
  destination: string,
  slotCount: number,
): Promise<number> {
  return connection.withLockRetries(async (client) => {
    const misplaced = await readMisplaced(client, connection, destination, slotCount);
    if (misplaced.length === 0) return 0;
    const slots = misplaced.map(({ id, message_key }): [string, number] => [
      String(id),
      slotOf(message_key, slotCount),
    ]);
    await writeSlots(client, connection.dialect, slots);
    return misplaced.length;
  });
}

interface MisplacedRow {
  readonly id: number | string | bigint;
  readonly message_key: string;
}

async function readMisplaced(
  client: OutboxKysely,
  { dialect }: OutboxConnection,
  destination: string,
  slotCount: number,
): Promise<MisplacedRow[]> {
  const index = new OutboxIndex(dialect);
  const ranges = misplacedSlots(slotCount).map((range) => ({ ...range, limit: BATCH_SIZE }));
  const parts = index.firstOfEach(sql`select o.id, o.message_key`, destination, ranges);
  const { rows } = await sql<MisplacedRow>`${sql.join(parts, sql` union all `)}`.execute(client);
  return rows.slice(0, BATCH_SIZE);
}

async function writeSlots(
  client: OutboxKysely,
  dialect: SqlDialect,
  slots: readonly [id: string, slot: number][],
): Promise<void> {
  switch (dialect) {
    case 'mysql':
      await sql`
        update json_table(${JSON.stringify(slots)}, '$[*]' columns (id bigint path '$[0]', slot int path '$[1]')) given
        straight_join cqrs_outbox o ${byPrimaryKey(dialect)} on o.id = given.id
        set o.slot = given.slot`.execute(client);
      return;
    case 'postgresql':
      await sql`
        update cqrs_outbox o set slot = given.slot
        from unnest(cast(${slots.map(([id]) => id)} as bigint[]), cast(${slots.map(([, slot]) => slot)} as int[]))
          as given (id, slot)
        where o.id = given.id`.execute(client);
      return;
    case 'sqlite':
      await sql`
        update cqrs_outbox set slot = given.slot
        from (select cast(value ->> 0 as integer) as id, value ->> 1 as slot from json_each(${JSON.stringify(slots)})) given
        where cqrs_outbox.id = given.id`.execute(client);
  }
}
