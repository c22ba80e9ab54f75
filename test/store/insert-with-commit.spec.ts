import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, END_OWN_CONNECTION } from '../support/database.ts';
import { SetStatusHandler } from '../support/set-status.ts';
import { SetStatusApp } from '../support/set-status-app.ts';
import { kindOf } from '../support/statement-kind.ts';

const AWKWARD = `it's "100%" \\ ; commit; ? $1 {} é`;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `The INSERT of events, and COMMIT, on ${name}`, () => {
    let test: SetStatusApp;

    beforeEach(async () => {
      // One connection: who did not give it back would be noticed.
      test = await SetStatusApp.start(name, name === 'libsql' ? {} : { pool: { max: 1 } });
    });
    afterEach(() => test.close());

    const send = (status: string, events = 1): Promise<void> => test.send(status, events);
    const run = <T>(sql: string): Promise<T[]> => test.run(sql);
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
  let test: SetStatusApp | undefined;

  const start = async (driverOptions: object = {}): Promise<StatementCounter> => {
    test = await SetStatusApp.start('postgres', { pool: { max: 1 }, driverOptions });
    return StatementCounter.attach(test.orm);
  };
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  const send = (status: string): Promise<void> => test!.send(status);
  const run = <T>(sql: string): Promise<T[]> => test!.run(sql);
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
