import { tracingChannel } from 'node:diagnostics_channel';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { createConnection, type Connection } from 'mysql2/promise';
import { StatementCounter, type OnStatement } from '../../bench/servers/statement-counter.ts';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { SetStatusApp } from '../support/set-status-app.ts';
import { kindOf } from '../support/statement-kind.ts';

/** So many commands are hit at about their COMMIT. */
const HITS = 600;
/** A KILL is sent up to so much later: at all times until they are answered. */
const MAX_DELAY_MS = 0.6;
const QUERY_INTERRUPTED = { errno: 1317 };
const IN_ONE = ['update orders', 'insert cqrs_outbox, commit'];
const ONE_BY_ONE = ['insert cqrs_outbox', 'commit'];

describeWith(['mariadb'], 'The INSERT of events and COMMIT in one round trip, on MariaDB', () => {
  let test: SetStatusApp | undefined;
  let counter: StatementCounter;
  let admin: Connection;

  const start = async (driverOptions: object = {}, onStatement?: OnStatement): Promise<void> => {
    // One connection: who did not give it back would be noticed.
    const ormOptions = { pool: { max: 1 }, driverOptions };
    test = await SetStatusApp.start('mariadb', ormOptions, { maxPayloadBytes: 10_000_000 });
    counter = await StatementCounter.attach(test.orm, onStatement);
  };
  /** With something that happens when the two are on their way; `hit` has ended before the next command. */
  const startWith = async (hit: (connectionId: number) => Promise<void>): Promise<() => Promise<void>> => {
    let hitting = Promise.resolve();
    await start({}, (statement, connection) => {
      if (kindOf(statement).endsWith('commit')) hitting = hit((connection as { threadId: number }).threadId);
    });
    return () => hitting;
  };

  beforeEach(async () => {
    admin = await createConnection(serviceUrl('mariadb'));
  });
  afterEach(async () => {
    await admin.end();
    await test?.close();
    test = undefined;
  });

  const send = (status: string, events = 1): Promise<void> => test!.send(status, events);
  const run = <T>(sql: string): Promise<T[]> => test!.run(sql);
  const found = async () => {
    const counts =
      'select (select status from orders) as status, (select count(*) from cqrs_outbox) as events';
    const [row] = await run<{ status: string; events: number }>(counts);
    return { status: row?.status, events: Number(row?.events) };
  };
  const kill = (connectionId: number): Promise<unknown> => admin.query(`kill query ${connectionId}`);

  /** Sends commands, and looks after each of them whether what it has said is so. */
  const sendMany = async (isHit: () => Promise<void>) => {
    const outcomes = { committed: 0, refused: 0 };
    let status = 'new';
    for (let count = 1; count <= HITS; count += 1) {
      try {
        await send(`status ${count}`);
        outcomes.committed += 1;
        status = `status ${count}`;
      } catch (error) {
        expect(error).toMatchObject(QUERY_INTERRUPTED);
        outcomes.refused += 1;
      }
      await isHit();
      // A KILL that has come too late may hit this.
      await run('do 0').catch(() => undefined);
      expect(await found()).toEqual({ status, events: outcomes.committed });
    }
    return outcomes;
  };

  it('say of themselves what is so, when a KILL hits one of them', async () => {
    const isHit = await startWith(async (id) => {
      const at = performance.now() + Math.random() * MAX_DELAY_MS;
      while (performance.now() < at) await nextTurn();
      await kill(id);
    });
    const { committed, refused } = await sendMany(isHit);
    expect(Math.min(committed, refused)).toBeGreaterThan(0);
  });

  it('have no effect when COMMIT is killed that waits for a backup', async () => {
    let isWaiting = false;
    const isHit = await startWith(async (id) => {
      if (!isWaiting) return;
      const state = `select state from information_schema.processlist where id = ${id}`;
      for (;;) {
        const [[row]] = await admin.query<never[]>(state);
        if (String((row as { state?: string } | undefined)?.state).includes('backup')) break;
      }
      await kill(id);
    });
    for (const stage of ['start', 'flush', 'block_ddl', 'block_commit'])
      await admin.query(`backup stage ${stage}`);
    isWaiting = true;
    await expect(send('paid')).rejects.toMatchObject(QUERY_INTERRUPTED);
    isWaiting = false;
    await isHit();
    await admin.query('backup stage end');
    expect(await found()).toEqual({ status: 'new', events: 0 });
    await send('sent');
    expect(await found()).toEqual({ status: 'sent', events: 1 });
  });

  it('are refused together when the INSERT has written no rows', async () => {
    await start();
    await run('create table away like cqrs_outbox');
    await run('rename table cqrs_outbox to kept, away to cqrs_outbox');
    await run('alter table cqrs_outbox add constraint nothing check (version > 1)');
    await expect(send('paid')).rejects.toMatchObject({ errno: 4025 });
    await run('rename table cqrs_outbox to away, kept to cqrs_outbox');
    expect(await found()).toEqual({ status: 'new', events: 0 });
  });

  it('fail when the connection is lost while they are on their way, and the pool gets another', async () => {
    let isFirst = true;
    await startWith(async (id) => {
      if (isFirst) await admin.query(`kill connection ${id}`);
      isFirst = false;
    });
    // Whether they have had their effect is not known then, as with any COMMIT: both, or neither.
    const [outcome] = await Promise.allSettled([send('paid')]);
    const { status, events } = await found();
    if (outcome.status === 'fulfilled') expect(status).toBe('paid');
    expect(events).toBe(status === 'paid' ? 1 : 0);
    await send('sent');
    expect(await found()).toEqual({ status: 'sent', events: events + 1 });
  });

  it('take events of many megabytes, which need several INSERTs', async () => {
    await start();
    const status = 'x'.repeat(900_000);
    await run('alter table orders modify status longtext');
    counter.take();
    await send(status, 10);
    expect(counter.take().map(kindOf).slice(-3)).toEqual([
      'insert cqrs_outbox',
      'insert cqrs_outbox',
      'insert cqrs_outbox, commit',
    ]);
    const [row] = await run<{ bytes: number; events: number }>(
      'select sum(length(payload)) bytes, count(*) events from cqrs_outbox',
    );
    expect(Number(row?.events)).toBe(10);
    expect(Number(row?.bytes)).toBeGreaterThan(9_000_000);
  });

  it('fail when the INSERT is longer than the server takes', async () => {
    await start();
    await run('alter table orders modify status longtext');
    // As hexadecimal digits it has twice its length, over the 16 MiB of `max_allowed_packet`.
    // The server says so and closes, with the rest unread: a reset may come before what it says.
    await expect(send('x'.repeat(9_000_000))).rejects.toMatchObject({
      code: expect.stringMatching(/^(ER_NET_PACKET_TOO_LARGE|ECONNRESET|EPIPE)$/) as unknown,
    });
    expect(await found()).toEqual({ status: 'new', events: 0 });
    await send('sent');
    expect(await found()).toEqual({ status: 'sent', events: 1 });
  });

  it.each([
    { options: {}, expected: IN_ONE },
    { options: { namedPlaceholders: true }, expected: IN_ONE },
    { options: { multipleStatements: true }, expected: IN_ONE },
    { options: { stringifyObjects: true, timezone: '+03:00' }, expected: IN_ONE },
    // It writes later what it compresses.
    { options: { compress: true }, expected: ONE_BY_ONE },
  ])('go together, where the driver can: $options', async ({ options, expected }) => {
    const complaints = jest.spyOn(console, 'error').mockReturnValue();
    try {
      await start(options);
      counter.take();
      for (const status of [`it's "?" :name \\ é 💶`, 'paid']) {
        await send(status, 2);
        expect(counter.take().map(kindOf).slice(-2)).toEqual(expected);
        const payloads = await run<{ payload: Buffer }>(
          'select payload from cqrs_outbox order by id desc limit 2',
        );
        for (const { payload } of payloads)
          expect(JSON.parse(payload.toString())).toEqual({ orderId: 1, status });
        counter.take();
      }
      // mysql2 tells of packets that come out of order there.
      expect(complaints).not.toHaveBeenCalled();
    } finally {
      complaints.mockRestore();
    }
  });

  it('are seen by who traces the driver, with their outcome and without the events', async () => {
    await start();
    const channel = tracingChannel<'mysql2:query', { query: string; error?: unknown }>('mysql2:query');
    const traced: string[] = [];
    const note = (outcome: string) => (message: { query: string }) => {
      if (kindOf(message.query).endsWith('commit')) traced.push(`${outcome}: ${message.query}`);
    };
    const subscribers = {
      asyncEnd: note('ended'),
      error: note('failed'),
      start: note('begun'),
      end: () => undefined,
      asyncStart: () => undefined,
    };
    channel.subscribe(subscribers);
    try {
      await send('paid');
      await run('alter table cqrs_outbox rename to away');
      await expect(send('sent')).rejects.toMatchObject({ errno: 1146 });
    } finally {
      channel.unsubscribe(subscribers);
    }
    expect(traced.map((text) => text.split(':')[0])).toEqual(['begun', 'ended', 'begun', 'failed', 'ended']);
    expect(traced.join()).not.toContain('paid');
  });
});
