import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NullTransport, Outbox, OutboxStore, slotsOf, type EntrySelection } from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { databaseOptions } from '../support/database.ts';
import { OrderPaid } from '../support/orders.ts';

const SLOTS = 16;
const TRANSACTIONS = 4;
const EVENTS = 1_000;
const LIMIT = 5;

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

    const rowsRead = async (): Promise<number> => {
      const em = test.orm.em.fork();
      if (database === 'postgres') await em.execute('select pg_stat_force_next_flush()');
      const [row] = await em.execute<{ number: string }[]>(READ[database]);
      return Number(row?.number);
    };

    it.each([
      ['as the tables were made', undefined],
      ['with statistics', { mariadb: 'analyze table cqrs_outbox', postgres: 'analyze cqrs_outbox' }],
    ])('is read no further than to the limit of each slot, %s', async (_, prepare) => {
      if (prepare) await test.orm.em.fork().execute(prepare[database]);
      const { first, last } = slotsOf(SLOTS);
      const selection: EntrySelection = {
        destination: 'default',
        slots: Array.from({ length: last - first + 1 }, (_, index) => first + index),
        slotCount: SLOTS,
        limitPerSlot: LIMIT,
      };
      const before = await rowsRead();
      const { entries } = await test.app.get(OutboxStore).fetch(selection);
      const read = (await rowsRead()) - before;
      expect(entries).toHaveLength(SLOTS * LIMIT);
      // A read of one slot to its end would be 250; PostgreSQL and MariaDB tell of themselves with some rows of their own.
      expect(read).toBeGreaterThanOrEqual(SLOTS * LIMIT - SLOTS);
      expect(read).toBeLessThan(SLOTS * LIMIT + 2 * SLOTS);
    });
  });
}
