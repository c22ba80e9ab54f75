import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { InboxStore, UnitOfWork } from '@cqrs-outbox/core';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { SetStatusHandler } from '../support/set-status.ts';
import { SetStatusApp } from '../support/set-status-app.ts';

interface Prepared {
  readonly name: string;
  readonly statement: string;
  /** How often it was executed. */
  readonly uses: number;
}

/** An application with commands, and messages in its inbox. */
class Subject {
  static async start(pool: { readonly max: number }, clientUrl: string): Promise<Subject> {
    return new Subject(await SetStatusApp.start('postgres', { clientUrl, pool }));
  }

  #messages = 0;

  private constructor(private readonly app: SetStatusApp) {}

  send(status: string): Promise<void> {
    return this.app.send(status);
  }

  /** A message with its row in the inbox: outside of any context, as it comes. */
  async receive(status: string): Promise<void> {
    const { app, orm } = this.app;
    await app.get(UnitOfWork).runInTransaction(async () => {
      await app.get(InboxStore).record(`message ${(this.#messages += 1)}`, 'handler');
      await orm.em.execute('update orders set status = ?', [status]);
    });
  }

  run<T>(sql: string): Promise<T[]> {
    return this.app.run<T>(sql);
  }

  close(): Promise<void> {
    return this.app.close();
  }

  async counts(): Promise<unknown> {
    const [row] = await this.run(
      'select (select status from orders), (select count(*)::int as events from cqrs_outbox), (select count(*)::int as messages from cqrs_inbox)',
    );
    return row;
  }

  /** On the connection that happens to be asked. */
  async prepared(): Promise<Record<string, number>> {
    const rows = await this.run<Prepared>(
      `select name, statement, (generic_plans + custom_plans)::int as uses from pg_prepared_statements`,
    );
    const kinds = rows.map(({ statement, uses }) => [statement.split(' (')[0]!, uses] as const);
    return Object.fromEntries(kinds);
  }
}

describeWith(['postgres'], 'The statements of the outbox and the inbox, prepared on PostgreSQL,', () => {
  let subject: Subject;

  beforeEach(async () => {
    // One connection, so that what is asked for is that of the application.
    subject = await Subject.start({ max: 1 }, serviceUrl('postgres'));
  });
  afterEach(() => subject.close());

  it('are so once for each connection', async () => {
    for (const status of ['a', 'b', 'c']) await subject.send(status);
    for (const status of ['d', 'e']) await subject.receive(status);
    expect(await subject.prepared()).toEqual({
      'insert into cqrs_outbox': 3,
      commit: 3,
      'start transaction': 2,
      'insert into "cqrs_inbox"': 2,
    });
    expect(await subject.counts()).toEqual({ status: 'e', events: 3, messages: 2 });
  });

  it.each(['discard all', 'deallocate all', 'begin; deallocate all; commit'])(
    'are so again when they were dropped by %s',
    async (drop) => {
      await subject.send('a');
      await subject.receive('b');
      await subject.run(drop);
      expect(await subject.prepared()).toEqual({});
      await subject.send('c');
      await subject.receive('d');
      expect(await subject.counts()).toEqual({ status: 'd', events: 2, messages: 2 });
      expect(Object.values(await subject.prepared())).toEqual([1, 1, 1, 1]);
    },
  );

  it('are so again when a handler has dropped one of them in its transaction', async () => {
    await subject.send('a');
    SetStatusHandler.alsoDo = async (em) => {
      const [{ name } = { name: '' }] = await em.execute<Prepared[]>(
        `select name from pg_prepared_statements where statement like 'insert into cqrs_outbox%'`,
      );
      await em.execute(`deallocate ${name}`);
    };
    await subject.send('b');
    expect(await subject.counts()).toEqual({ status: 'b', events: 2, messages: 0 });
    expect(await subject.prepared()).toEqual({ 'insert into cqrs_outbox': 1, commit: 1 });
  });

  it('cost one command when a function drops them, and are not prepared any more', async () => {
    await subject.send('a');
    await subject.run(`do $$ begin execute 'deallocate all'; end $$`);
    await expect(subject.send('b')).rejects.toMatchObject({ code: '26000' });
    expect(await subject.counts()).toEqual({ status: 'a', events: 1, messages: 0 });
    await subject.send('c');
    await subject.receive('d');
    expect(await subject.counts()).toEqual({ status: 'd', events: 2, messages: 1 });
    expect(await subject.prepared()).toEqual({});
  });

  it('cost one command, and are prepared anew, when the type of a column is another', async () => {
    await subject.send('a');
    await subject.run('alter table cqrs_outbox alter column headers type jsonb using headers::jsonb');
    await expect(subject.send('b')).rejects.toMatchObject({ code: '42804' });
    expect(await subject.counts()).toEqual({ status: 'a', events: 1, messages: 0 });
    await subject.send('c');
    await subject.send('d');
    expect(await subject.counts()).toEqual({ status: 'd', events: 3, messages: 0 });
    expect(await subject.prepared()).toEqual({ 'insert into cqrs_outbox': 2, commit: 2 });
  });

  it('go to the table that has the name by then, when it was renamed or the search path was changed', async () => {
    for (const status of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await subject.send(status);
    await subject.run('alter table cqrs_outbox rename to cqrs_outbox_away');
    await subject.run('create table cqrs_outbox (like cqrs_outbox_away including all)');
    await subject.send('h');
    expect(await subject.counts()).toEqual({ status: 'h', events: 1, messages: 0 });
    await subject.run(
      'create schema tenant; create table tenant.cqrs_outbox (like cqrs_outbox including all)',
    );
    await subject.run('set search_path to tenant, public');
    await subject.send('i');
    await subject.send('j');
    await subject.run('set search_path to public');
    expect(await subject.counts()).toEqual({ status: 'j', events: 1, messages: 0 });
    expect(await subject.run('select count(*)::int as events from tenant.cqrs_outbox')).toEqual([
      { events: 2 },
    ]);
  });
});

describeWith(
  ['pgbouncer'],
  'Behind PgBouncer, which gives the connection to another after each transaction,',
  () => {
    it('they are not prepared, and all has its effect', async () => {
      // More connections than PgBouncer has to the server.
      const subject = await Subject.start({ max: 8 }, serviceUrl('pgbouncer'));
      try {
        const rounds = Array.from({ length: 40 }, (_, index) => index);
        await Promise.all(rounds.map((index) => subject.receive(`message ${index}`)));
        await Promise.all(rounds.map((index) => subject.send(`command ${index}`)));
        expect(await subject.counts()).toMatchObject({ events: 40, messages: 40 });
        const prepared = await Promise.all(rounds.map(() => subject.prepared()));
        expect(prepared).toEqual(rounds.map(() => ({})));
      } finally {
        await subject.close();
      }
    });
  },
);
