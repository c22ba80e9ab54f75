import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import {
  CommandHandler,
  Command,
  LeaseStore,
  Outbox,
  OutboxRelay,
  RequestMediator,
  type CqrsOutboxOptions,
} from '@cqrs-outbox/core';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { StockMoved } from '../operations/events.ts';
import { NEVER } from '../operations/outbox-fixture.ts';
import { WitnessTransport } from '../operations/witness-transport.ts';
import { describeWith, serviceUrl } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/eventually.ts';
import { moves } from './hints-fixture.ts';

class MoveStock extends Command {
  item!: string;
}

@CommandHandler(MoveStock)
class MoveStockHandler {
  constructor(private readonly outbox: Outbox) {}

  async execute({ item }: MoveStock): Promise<void> {
    this.outbox.append(StockMoved.of({ item, step: 0 }));
  }
}

describeWith(['postgres'], 'hints of commits by LISTEN/NOTIFY', () => {
  let transport: WitnessTransport;
  let writer: TestApp;
  let others: TestApp[];
  let witness: pg.Client | undefined;
  let warnings: string[];

  const start = async (options: Partial<CqrsOutboxOptions>): Promise<TestApp> => {
    const app = await createTestApp({
      database: 'postgres',
      orm: writer.ormOptions,
      options: { transport, commitHints: true, ...options },
    });
    others.push(app);
    return app;
  };
  const stop = async (app: TestApp): Promise<void> => {
    others = others.filter((other) => other !== app);
    await app.close();
  };
  /** A relay that no tick wakes, which has all slots and listens. */
  const startRelay = async (): Promise<TestApp> => {
    const relay = await start({ relay: { cron: NEVER } });
    await eventually(() => expect(relay.app.get(OutboxRelay).leasedSlots.size).toBe(16));
    await eventually(async () => expect(await backends()).toHaveLength(1));
    return relay;
  };
  const append = (app: TestApp, ...events: StockMoved[]): Promise<void> =>
    app.orm.em.fork().transactional(async () => {
      for (const event of events) app.app.get(Outbox).append(event);
    });
  const execute = <T extends object>(sql: string): Promise<T[]> =>
    writer.orm.em.fork().getConnection().execute<T[]>(sql);
  /** The server processes of the connections for hints. */
  const backends = async (): Promise<number[]> => {
    const rows = await execute<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and application_name = 'cqrs-outbox hints'`,
    );
    return rows.map(({ pid }) => pid);
  };
  /** Hears whatever is announced, as somebody who knows nothing of ours. */
  const hearAll = async (): Promise<string[]> => {
    const [row] = await execute<{ oid: string }>(`select 'public'::regnamespace::oid::text as oid`);
    const url = new URL(serviceUrl('postgres'));
    url.pathname = `/${writer.ormOptions.dbName}`;
    witness = new pg.Client({ connectionString: url.href });
    await witness.connect();
    const heard: string[] = [];
    witness.on('notification', ({ payload = '' }) => void heard.push(payload));
    await witness.query(`listen cqrs_outbox_${row?.oid}`);
    return heard;
  };
  const arrivedItems = (): string[] => transport.arrivals.map(({ key }) => key);

  beforeEach(async () => {
    warnings = [];
    jest
      .spyOn(Logger.prototype, 'warn')
      .mockImplementation((text: unknown) => void warnings.push(String(text)));
    transport = new WitnessTransport();
    others = [];
    writer = await createTestApp({
      database: 'postgres',
      options: { transport, commitHints: true },
      providers: [MoveStockHandler],
    });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await witness?.end();
    witness = undefined;
    for (const app of others) await app.close();
    await writer.close();
  });

  it('have an event published by another process without a tick, soon after its command', async () => {
    await startRelay();
    await writer.app.get(RequestMediator).send(MoveStock.of({ item: 'first' }));
    await eventually(() => expect(arrivedItems()).toEqual(['first']), 2_000);
    const startedAt = Date.now();
    await writer.app.get(RequestMediator).send(MoveStock.of({ item: 'second' }));
    await eventually(() => expect(arrivedItems()).toEqual(['first', 'second']), 2_000);
    // With a wide margin for a machine that has much to do.
    expect((transport.arrivals[1]?.at ?? 0) - startedAt).toBeLessThan(500);
  });

  it('leave it to the tick where they are off', async () => {
    const relay = await start({ relay: { cron: NEVER }, commitHints: false });
    await eventually(() => expect(relay.app.get(OutboxRelay).leasedSlots.size).toBe(16));
    // It looks for what was there before.
    await delay(300);
    await append(writer, ...moves(1));
    await delay(500);
    expect(arrivedItems()).toEqual([]);
  });

  it('are few when a hundred transactions commit at once', async () => {
    await startRelay();
    const heard = await hearAll();
    const events = moves(100);
    const startedAt = performance.now();
    await Promise.all(events.map((event) => append(writer, event)));
    const tookMs = performance.now() - startedAt;
    await eventually(
      () => expect(new Set(arrivedItems())).toEqual(new Set(events.map(({ item }) => item))),
      5_000,
    );
    await delay(50);
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.length).toBeLessThanOrEqual(tookMs / 5 + 2);
    expect(heard.length).toBeLessThan(50);
  });

  it('are not sent by a process that has the slots itself', async () => {
    const relay = await startRelay();
    const heard = await hearAll();
    for (const event of moves(20)) await append(relay, event);
    await eventually(() => expect(arrivedItems()).toHaveLength(20));
    await delay(50);
    expect(heard).toEqual([]);
    await append(writer, ...moves(1));
    await eventually(() => expect(heard).toHaveLength(1));
  });

  it('are sent between relays that share the slots', async () => {
    const a = await startRelay();
    const b = await start({ relay: { cron: NEVER } });
    await eventually(async () => {
      const { slots } = await a.app.get(LeaseStore).read(16);
      const mine = slots.filter(({ owner }) => owner === a.app.get(OutboxRelay).instance);
      expect(mine).toHaveLength(8);
      expect(b.app.get(OutboxRelay).leasedSlots.size).toBe(8);
    });
    await eventually(async () => expect(await backends()).toHaveLength(2));
    for (const event of moves(40)) await append(a, event);
    await eventually(() => expect(arrivedItems()).toHaveLength(40), 5_000);
    // One connection of each process does for both directions.
    expect(await backends()).toHaveLength(2);
  });

  it('need no connection before there is something to send', async () => {
    expect(await backends()).toEqual([]);
    await append(writer, ...moves(1));
    await eventually(async () => expect(await backends()).toHaveLength(1));
  });

  it('come back when their connections were killed', async () => {
    await startRelay();
    await append(writer, ...moves(1, 'before'));
    await eventually(() => expect(arrivedItems()).toEqual(['before-0']), 2_000);
    const killed = await backends();
    expect(killed).toHaveLength(2);
    for (const pid of killed) await execute(`select pg_terminate_backend(${pid})`);
    await append(writer, ...moves(1, 'meanwhile'));
    await eventually(async () => {
      const now = await backends();
      expect(now.length).toBeGreaterThan(0);
      expect(now.filter((pid) => killed.includes(pid))).toEqual([]);
    });
    await eventually(() => expect(arrivedItems()).toContain('meanwhile-0'), 5_000);
    await append(writer, ...moves(1, 'after'));
    await eventually(() => expect(arrivedItems()).toContain('after-0'), 5_000);
    expect(warnings.filter((text) => /No hints are heard/.test(text))).toHaveLength(1);
  });

  it('ignore what somebody else says on their channel', async () => {
    const relay = await startRelay();
    await hearAll();
    const wake = jest.spyOn(relay.app.get(OutboxRelay), 'hear');
    const channel = `(select 'cqrs_outbox_' || 'public'::regnamespace::oid)`;
    for (const text of [`''`, `'hello'`, `'{"slots":[1]}'`, `repeat('x', 7999)`])
      await execute(`select pg_notify(${channel}, ${text})`);
    await append(writer, ...moves(1));
    await eventually(() => expect(arrivedItems()).toEqual(['item-0']), 2_000);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  it('of an outbox in another schema of the database are not heard', async () => {
    await startRelay();
    const heard = await hearAll();
    await execute('create schema billing');
    const orm = { ...writer.ormOptions, driverOptions: { options: '-c search_path=billing' } };
    const billing = await createTestApp({
      database: 'postgres',
      orm,
      options: { transport, commitHints: true },
      beforeInit: async (_, { em }) => {
        for (const { name } of await execute<{ name: string }>(
          `select tablename as name from pg_tables where schemaname = 'public' and tablename like 'cqrs_%'`,
        ))
          await em.getConnection().execute(`create table ${name} (like public.${name} including all)`);
        await em
          .getConnection()
          .execute('insert into cqrs_outbox_schema select * from public.cqrs_outbox_schema');
      },
    });
    others.push(billing);
    await append(billing, ...moves(1));
    await eventually(async () => expect(await backends()).toHaveLength(2));
    await delay(200);
    expect(await execute('select id from billing.cqrs_outbox')).toHaveLength(1);
    expect(heard).toEqual([]);
  });

  it('leave no connection open at the end, whatever state they are in', async () => {
    const listening = await startRelay();
    const sending = await start({});
    await append(sending, ...moves(1));
    await eventually(async () => expect(await backends()).toHaveLength(2));
    await stop(sending);
    await eventually(async () => expect(await backends()).toHaveLength(1));
    await stop(listening);
    await eventually(async () => expect(await backends()).toEqual([]));
    // Closed in the middle of its first connect, and of a reconnect.
    const early = await start({ relay: { cron: NEVER } });
    await stop(early);
    const late = await startRelay();
    for (const pid of await backends()) await execute(`select pg_terminate_backend(${pid})`);
    await stop(late);
    await delay(500);
    expect(await backends()).toEqual([]);
  });

  it('keep no command from its commit when the server has no connection left for them', async () => {
    const role = `hints_${randomUUID().slice(0, 8)}`;
    await execute(`create role ${role} login connection limit 1`);
    await execute(`grant all on all tables in schema public to ${role}`);
    await execute(`grant all on all sequences in schema public to ${role}`);
    try {
      const url = new URL(serviceUrl('postgres'));
      url.username = role;
      const orm = { ...writer.ormOptions, clientUrl: url.href, driverOptions: { max: 1 } };
      const limited = await createTestApp({
        database: 'postgres',
        orm,
        options: { transport, commitHints: true },
      });
      for (const event of moves(5)) await append(limited, event);
      await eventually(() =>
        expect(warnings).toEqual([expect.stringMatching(/^A hint could not be sent.*too many connections/)]),
      );
      await limited.close();
      expect(await execute('select id from cqrs_outbox')).toHaveLength(5);
    } finally {
      await execute(`drop owned by ${role}`);
      await execute(`drop role ${role}`);
    }
  });
});
