// The order of a key's events is the order in which the database committed its transactions.
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { IntegrationEvent, NotificationEvent, Outbox } from '@cqrs-outbox/core';
import type { EntityManager } from '@mikro-orm/sql';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPaid } from '../support/orders.ts';
import { ScriptedTransport } from '../support/scripted-transport.ts';

const TRIES = 2_000;
const AT_ONCE = 8;

@IntegrationEvent({
  name: 'orders.noted',
  topic: 'orders',
  key: (event: OrderNoted) => String(event.orderId),
  strictOrder: true,
})
class OrderNoted extends NotificationEvent {
  @IsInt() orderId!: number;
  @IsInt() step!: number;
}

/** Writes down each update of `orders` under the row's own lock, so that the log is in the order of the commits. */
const TRIGGERS: Readonly<Record<string, readonly string[]>> = {
  mariadb: [
    'create table update_log (id bigint auto_increment primary key, status varchar(64))',
    'create trigger log_updates after update on orders for each row insert into update_log (status) values (new.status)',
  ],
  postgres: [
    'create table update_log (id bigserial primary key, status varchar(64))',
    `create function log_update() returns trigger language plpgsql as
      $$ begin insert into update_log (status) values (new.status); return new; end $$`,
    'create trigger log_updates after update on orders for each row execute function log_update()',
  ],
};

for (const { name, needs } of DATABASES.filter((database) => database.name !== 'libsql')) {
  describeWith(needs, `the order of commits on ${name}`, () => {
    let test: TestApp;
    const execute = <T extends object>(sql: string) => test.orm.em.fork().getConnection().execute<T[]>(sql);
    const inParallel = async (work: (step: number) => Promise<void>): Promise<void> => {
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let step = next++; step < TRIES; step = next++) await work(step);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
    };
    /** The steps of the key's events, in the order of their positions. */
    const steps = async (): Promise<number[]> => {
      const rows = await execute<{ payload: Buffer }>('select payload from cqrs_outbox order by id');
      return rows.map(({ payload }) => (JSON.parse(String(Buffer.from(payload))) as { step: number }).step);
    };

    beforeAll(async () => {
      test = await createTestApp({
        database: name,
        options: { transport: new ScriptedTransport(), events: [OrderNoted] },
      });
      for (const statement of TRIGGERS[name] ?? []) await execute(statement);
      await execute("insert into orders (id, status) values (1, 'new')");
    });
    afterAll(() => test.close());
    beforeEach(() => execute('delete from cqrs_outbox'));

    it('is that of blind updates of one row, over thousands of concurrent transactions', async () => {
      await inParallel(async (step) => {
        await test.orm.em.fork().transactional(async (em) => {
          // Appended first, and the row is only written at the flush: nothing but the commit orders the two.
          test.app.get(Outbox).append(OrderPaid.of({ orderId: 1, step }));
          const order = em.getReference(Order, 1 as never);
          em.assign(order, { status: String(step) });
        });
      });
      const log = await execute<{ status: string }>('select status from update_log order by id');
      expect(log).toHaveLength(TRIES);
      expect(await steps()).toEqual(log.map(({ status }) => Number(status)));
    }, 120_000);

    /** Each transaction says at its commit, still under its locks, which it is: the order of the log is that of the commits. */
    const noteAtCommit = async (em: EntityManager, step: number): Promise<void> => {
      await em
        .getConnection()
        .execute(`insert into commit_log (step) values (${step})`, [], 'run', em.getTransactionContext());
    };

    it('is that of transactions which share no row, where the event asks for strictOrder', async () => {
      await execute(
        `create table commit_log (id ${name === 'mariadb' ? 'bigint auto_increment' : 'bigserial'} primary key, step int)`,
      );
      // The last statement before COMMIT, after the rows of the outbox: it runs under the lock of the key.
      test.orm.em.getEventManager().registerSubscriber({
        beforeTransactionCommit: async ({ em }) => {
          const step = stepOf.get(em);
          if (step !== undefined) await noteAtCommit(em as EntityManager, step);
        },
      });
      const stepOf = new WeakMap<object, number>();
      await inParallel(async (step) => {
        await test.orm.em.fork().transactional(async (em) => {
          stepOf.set(em, step);
          test.app.get(Outbox).append(OrderNoted.of({ orderId: 7, step }));
        });
      });
      const log = await execute<{ step: number }>('select step from commit_log order by id');
      expect(log).toHaveLength(TRIES);
      expect(await steps()).toEqual(log.map(({ step }) => step));
    }, 120_000);

    it('does not deadlock when transactions lock the same keys in any order', async () => {
      await inParallel(async (step) => {
        const keys = [11, 12, 13, 14, 15].map((key) => (step % 2 === 0 ? key : 26 - key));
        await test.orm.em.fork().transactional(async () => {
          for (const orderId of keys) test.app.get(Outbox).append(OrderNoted.of({ orderId, step }));
        });
      });
      expect(await steps()).toHaveLength(TRIES * 5);
    }, 120_000);
  });
}
