import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NullTransport, RequestMediator } from '@cqrs-outbox/core';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { databaseOptions, DATABASES, END_OWN_CONNECTION } from '../support/database.ts';
import { Order } from '../support/orders.ts';
import { SetStatus, SetStatusHandler } from '../support/set-status.ts';
import { kindOf } from '../support/statement-kind.ts';

const AWKWARD = `it's "100%" \\ ; commit; ? $1 {} é`;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `The INSERT of events, and COMMIT, on ${name}`, () => {
    let test: TestApp;

    const start = async (): Promise<TestApp> => {
      // One connection: who did not give it back would be noticed.
      const orm = { ...databaseOptions(name), pool: { max: 1 } };
      const started = await createTestApp({
        database: name,
        options: { transport: new NullTransport() },
        providers: [SetStatusHandler],
        orm: name === 'libsql' ? databaseOptions(name) : orm,
        ownsDatabase: true,
      });
      await started.orm.em.fork().insert(Order, { id: 1, status: 'new' });
      return started;
    };

    beforeEach(async () => {
      SetStatusHandler.alsoDo = async () => undefined;
      test = await start();
    });
    afterEach(() => test.close());

    const send = (status: string, events = 1): Promise<void> =>
      test.app.get(RequestMediator).send(SetStatus.of({ status, events }));
    const run = <T>(sql: string): Promise<T[]> => test.orm.em.fork().execute<T[]>(sql);
    const found = async () => {
      const [{ status } = {}] = await run<{ status: string }>('select status from orders');
      const rows = await run<{ payload: Uint8Array }>('select payload from cqrs_outbox order by id');
      const events = rows.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as object);
      return { status, events };
    };

    it('write what they are given, whatever it looks like', async () => {
      await send(AWKWARD, 2);
      const event = { orderId: 1, status: AWKWARD };
      expect(await found()).toEqual({ status: AWKWARD, events: [event, event] });
    });

    it('have no effect when the INSERT is refused, and neither has what came before; the connection goes on', async () => {
      await run('alter table cqrs_outbox rename to cqrs_outbox_away');
      await expect(send('paid')).rejects.toThrow('cqrs_outbox');
      await run('alter table cqrs_outbox_away rename to cqrs_outbox');
      expect(await found()).toEqual({ status: 'new', events: [] });
      await send('sent');
      expect(await found()).toEqual({ status: 'sent', events: [{ orderId: 1, status: 'sent' }] });
    });

    it('have none either of what the work has left running when the INSERT is refused', async () => {
      await run('alter table cqrs_outbox rename to cqrs_outbox_away');
      let isOver = false;
      let late: Promise<void> | undefined;
      // All the time, until ROLLBACK has been answered.
      SetStatusHandler.alsoDo = async (em) => {
        late = (async () => {
          for (let count = 1; !isOver; count += 1) {
            const insert = `insert into tally (name, count) values ('late ${count}', 1)`;
            await em.execute(insert).catch(() => undefined);
            await new Promise((resolve) => setImmediate(resolve));
          }
        })();
      };
      await expect(send('paid')).rejects.toThrow('cqrs_outbox');
      isOver = true;
      await late;
      await run('alter table cqrs_outbox_away rename to cqrs_outbox');
      SetStatusHandler.alsoDo = async () => undefined;
      await send('sent');
      expect((await found()).status).toBe('sent');
      expect(await run(`select name from tally where name like 'late%'`)).toEqual([]);
    });

    if (name !== 'libsql')
      it('have none when the server ends the connection before them, and it goes back to its pool', async () => {
        SetStatusHandler.alsoDo = async (em) => {
          await em.flush();
          await em.execute(END_OWN_CONNECTION[name]).catch(() => undefined);
        };
        await expect(send('paid')).rejects.toThrow();
        SetStatusHandler.alsoDo = async () => undefined;
        expect(await found()).toEqual({ status: 'new', events: [] });
        await send('sent');
        expect(await found()).toMatchObject({ status: 'sent', events: [{ status: 'sent' }] });
      });
  });
}

describeWith(['postgres'], 'The INSERT of events and COMMIT in one, on PostgreSQL', () => {
  let test: TestApp | undefined;

  const start = async (driverOptions: object = {}): Promise<StatementCounter> => {
    SetStatusHandler.alsoDo = async () => undefined;
    test = await createTestApp({
      database: 'postgres',
      options: { transport: new NullTransport() },
      providers: [SetStatusHandler],
      orm: { ...databaseOptions('postgres'), pool: { max: 1 }, driverOptions } as never,
      ownsDatabase: true,
    });
    await test.orm.em.fork().insert(Order, { id: 1, status: 'new' });
    return StatementCounter.attach(test.orm);
  };
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  const send = (status: string): Promise<void> =>
    test!.app.get(RequestMediator).send(SetStatus.of({ status, events: 1 }));
  const run = <T>(sql: string): Promise<T[]> => test!.orm.em.fork().execute<T[]>(sql);
  const counts = async (): Promise<unknown> =>
    (await run(`select (select status from orders), (select count(*) from cqrs_outbox)`))[0];

  it('have no effect when it is COMMIT that fails', async () => {
    await start();
    await run(
      'create table child (id int primary key, parent int references child deferrable initially deferred)',
    );
    SetStatusHandler.alsoDo = (em) => em.execute('insert into child values (1, 2)');
    await expect(send('paid')).rejects.toMatchObject({ code: '23503' });
    SetStatusHandler.alsoDo = async () => undefined;
    expect(await counts()).toEqual({ status: 'new', count: '0' });
    await send('sent');
    expect(await counts()).toEqual({ status: 'sent', count: '1' });
  });

  it('are two where the driver gives up waiting by itself: its COMMIT would come after all', async () => {
    const counter = await start({ query_timeout: 2_000 });
    counter.take();
    await send('sent');
    expect(counter.take().map(kindOf).slice(-2)).toEqual(['insert cqrs_outbox', 'commit']);
  });
});
