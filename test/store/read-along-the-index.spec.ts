import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NullTransport, Outbox, OutboxStore, slotsOf, type StoredEntry } from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { databaseOptions } from '../support/database.ts';
import { OrderPaid } from '../support/orders.ts';

const SLOTS = 16;
const TRANSACTIONS = 4;
const EVENTS = 1_000;
/** Few enough that reading the whole table is not the better way. */
const DELETED = 100;
/** Of some 250. */
const LIMIT = 30;
const SLOT_NUMBERS = Array.from({ length: SLOTS }, (_, index) => slotsOf(SLOTS).first + index);

/** How many rows of the outbox, or of its index, the one connection of the pool has read. */
const READ = {
  // With those that were sorted, which would have been read for nothing.
  mariadb: `select sum(variable_value) as number from information_schema.session_status
    where variable_name in ('HANDLER_READ_NEXT', 'HANDLER_READ_RND', 'HANDLER_READ_RND_NEXT', 'SORT_ROWS')`,
  postgres: `select seq_tup_read + idx_tup_fetch as number from pg_stat_user_tables where relname = 'cqrs_outbox'`,
} as const;

for (const database of ['mariadb', 'postgres'] as const) {
  describeWith([database], `a backlog on ${database}`, () => {
    let test: TestApp;

    beforeEach(async () => {
      const orm = { ...databaseOptions(database), pool: { min: 1, max: 1 } };
      test = await createTestApp({
        database,
        orm,
        ownsDatabase: true,
        options: { transport: new NullTransport(), slots: SLOTS },
      });
      for (let transaction = 0; transaction < TRANSACTIONS; transaction++) {
        await test.orm.em.fork().transactional(() => {
          for (let event = 0; event < EVENTS; event++)
            test.app.get(Outbox).append(OrderPaid.of({ orderId: event, step: transaction }));
        });
      }
    });

    afterEach(() => test.close());

    const firstEntries = async (): Promise<StoredEntry[]> => {
      const selection = {
        destination: 'default',
        slots: SLOT_NUMBERS,
        slotCount: SLOTS,
        limitPerSlot: LIMIT,
      };
      const { entries } = await test.app.get(OutboxStore).fetch(selection);
      return [...entries];
    };

    const rowsRead = async (): Promise<number> => {
      const em = test.orm.em.fork();
      if (database === 'postgres') await em.execute('select pg_stat_force_next_flush()');
      const [row] = await em.execute<{ number: string }[]>(READ[database]);
      return Number(row?.number);
    };

    const analyze = { mariadb: 'analyze table cqrs_outbox', postgres: 'analyze cqrs_outbox' }[database];

    it.each([
      ['without statistics', undefined],
      ['with statistics', analyze],
    ])('is read to the limit of each slot, and no further, %s', async (_, prepare) => {
      if (prepare) await test.orm.em.fork().execute(prepare);
      const before = await rowsRead();
      const entries = await firstEntries();
      const read = (await rowsRead()) - before;
      expect(entries).toHaveLength(SLOTS * LIMIT);
      // Servers tell of some more rows, which are their own.
      expect(read).toBeGreaterThanOrEqual(entries.length - SLOTS);
      expect(read).toBeLessThan(entries.length + 2 * SLOTS);
    });

    it('is deleted from by the ids alone', async () => {
      // Without any PostgreSQL rather reads all of so small a table, and not of a larger one.
      await test.orm.em.fork().execute(analyze);
      const entries = (await firstEntries()).slice(0, DELETED);
      const leases = SLOT_NUMBERS.map((slot) => ({ slot, owner: 'me', epoch: 1 }));
      const rows = leases.map(({ slot }) => `(${slot}, 'me', 1)`).join();
      await test.orm.em.fork().execute(`insert into cqrs_outbox_slot (slot, owner, epoch) values ${rows}`);
      const before = await rowsRead();
      expect(await test.app.get(OutboxStore).remove(entries, leases)).toBe(entries.length);
      expect((await rowsRead()) - before).toBeLessThan(2 * entries.length);
    });
  });
}
