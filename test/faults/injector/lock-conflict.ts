import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import { openSql, type Sql } from '../stage/sql.ts';
import type { Stage } from '../stage/stage.ts';

/** Long enough for some messages to be sent and unacknowledged. */
const STALL_MS = 400;
/** For the relays' deletes to run into the locks. */
const MEET_MS = 150;
/** PostgreSQL's backends tell their counts a little later. */
const COUNT_MS = 1_500;
const ROUNDS = 4;
const LOCKED_ROWS = 20;

/**
 * Transactions that lock rows of the outbox from the last to the first, while relays delete them from the first to the
 * last: deadlocks, of which either side may be the victim. Acknowledgements are held back meanwhile, so that there are
 * rows. Repeated statements must be enough to get over it: nothing excuses a duplicate.
 */
export async function lockConflict(stage: Stage, fault: PlannedFault): Promise<void> {
  const before = await deadlocksOf(stage);
  await stage.during(fault, [], async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const sql = await openSql(stage.database.url).catch(() => undefined);
      // Another fault is there too, and has the database.
      if (!sql) return;
      await conflict(stage, sql).finally(() => sql.close());
      await sleep(MEET_MS);
    }
  });
  await sleep(COUNT_MS);
  stage.deadlocks += Math.max(0, (await deadlocksOf(stage)) - before);
}

/** Where another fault has the database, nothing is counted. */
function deadlocksOf({ database }: Stage): Promise<number> {
  return database.deadlocks().catch(() => 0);
}

async function conflict(stage: Stage, sql: Sql): Promise<void> {
  const proxies = stage.actors('relay').map((actor) => actor.proxies.broker);
  try {
    for (const proxy of proxies) proxy.stall();
    await sleep(STALL_MS);
    await sql.query('begin');
    const rows = await sql.query<{ id: string | number }>(
      `select id from cqrs_outbox order by id limit ${LOCKED_ROWS}`,
    );
    const [first, ...others] = rows;
    for (const { id } of others.reverse()) await lock(sql, id);
    for (const proxy of proxies) proxy.resume();
    await sleep(MEET_MS);
    if (first) await lock(sql, first.id);
  } catch (error) {
    if (!isOrdinary(error)) throw error;
  } finally {
    for (const proxy of proxies) proxy.resume();
    await sql.query('rollback').catch(() => undefined);
  }
}

async function lock(sql: Sql, id: string | number): Promise<void> {
  await sql.query('select id from cqrs_outbox where id = ? for update', [id]);
}

/** To be the victim of a deadlock, or of another fault that hits the database, is what this is for. */
function isOrdinary(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: unknown; message?: unknown };
  const isHit = /DEADLOCK|LOCK_WAIT|^40P01|^57P|^08|CONNECTION|ECONN|EPIPE|PROTOCOL/.test(String(code));
  // What pg says of a client whose connection has broken has no code.
  return isHit || /connection error|Connection terminated/.test(String(message));
}
