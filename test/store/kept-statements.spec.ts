import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InboxStore, NullTransport, Outbox, UnitOfWork } from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { OrderPaid } from '../support/orders.ts';

describe('The INSERTs of the outbox and the inbox, kept prepared by libSQL,', () => {
  let test: TestApp;
  /** Of what is prepared: it listens where libSQL does not yet keep anything. */
  let counter: StatementCounter;

  beforeEach(async () => {
    test = await createTestApp({
      database: 'libsql',
      options: { transport: new NullTransport() },
      beforeInit: async (_app, orm) => {
        counter = await StatementCounter.attach(orm);
      },
    });
    counter.take();
  });
  afterEach(() => test.close());

  const receive = (messageId: string, orderId = 1): Promise<void> =>
    test.app.get(UnitOfWork).runInTransaction(async () => {
      await test.app.get(InboxStore).record(messageId, 'handler');
      test.app.get(Outbox).append(OrderPaid.of({ orderId, step: 1 }));
    });
  const run = <T>(sql: string): Promise<T[]> => test.orm.em.fork().execute<T[]>(sql);
  const countIn = async (table: string): Promise<number> => {
    const [{ count } = { count: -1 }] = await run<{ count: number }>(
      `select count(*) as count from ${table}`,
    );
    return count;
  };
  const counts = async () => ({
    events: await countIn('cqrs_outbox'),
    messages: await countIn('cqrs_inbox'),
  });

  it('are prepared once', async () => {
    for (const id of ['a', 'b', 'c']) await receive(id);
    expect(counter.take().filter((text) => text.startsWith('insert into'))).toHaveLength(2);
    expect(await counts()).toEqual({ events: 3, messages: 3 });
  });

  it('go on after one was refused, and after a transaction was rolled back', async () => {
    await receive('a');
    await expect(receive('a')).rejects.toThrow('a');
    await expect(
      test.app.get(UnitOfWork).runInTransaction(async () => {
        await test.app.get(InboxStore).record('b', 'handler');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    await receive('b');
    expect(await counts()).toEqual({ events: 2, messages: 2 });
  });

  it('have no effect while their table is away, and go to the one that has the name by then', async () => {
    await receive('a');
    await run('alter table cqrs_outbox rename to cqrs_outbox_away');
    await expect(receive('b')).rejects.toThrow('cqrs_outbox');
    await run('create table cqrs_outbox as select * from cqrs_outbox_away where 0');
    await receive('b');
    expect(await counts()).toEqual({ events: 1, messages: 2 });
    expect(await countIn('cqrs_outbox_away')).toBe(1);
    await run('alter table cqrs_outbox add column note text');
    await receive('c');
    expect(await countIn('cqrs_outbox')).toBe(2);
  });

  it('are those of the transaction that a handler opens by the entity manager as well', async () => {
    await receive('a');
    const em = test.app.get(EntityManager).fork();
    await em.transactional(async () => test.app.get(Outbox).append(OrderPaid.of({ orderId: 2, step: 1 })));
    expect(await counts()).toEqual({ events: 2, messages: 1 });
    expect(counter.take().filter((text) => text.startsWith('insert into cqrs_outbox'))).toHaveLength(1);
  });
});
