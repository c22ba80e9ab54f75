import { randomUUID } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import {
  LeaseStore,
  Outbox,
  OutboxRelay,
  OutboxStore,
  type BatchDiagnostic,
  type CqrsOutboxOptions,
  type LeaseDiagnostic,
  type PublishResult,
  type RelayOptions,
} from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES, databaseOptions, type DatabaseOptions } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { OrderPaid } from '../support/orders.ts';
import { REFUSED, ScriptedTransport } from '../support/scripted-transport.ts';

/** Two connections share a file; a database in memory belongs to one. */
function sharedDatabase(name: (typeof DATABASES)[number]['name']): DatabaseOptions & { file?: string } {
  if (name !== 'libsql') return databaseOptions(name);
  const file = join(tmpdir(), `cqrs-outbox-${randomUUID()}.db`);
  return { ...databaseOptions(name), dbName: file, file };
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `several relays on ${name}`, () => {
    let file: string | undefined;
    let first: TestApp;
    let others: TestApp[];
    let transport: ScriptedTransport;
    const relaySettings: RelayOptions = { leaseMs: 2_000, minBackoffMs: 20, maxBackoffMs: 200 };

    const enter = async (
      options: Partial<CqrsOutboxOptions> = {},
      relay: RelayOptions = {},
    ): Promise<TestApp> => {
      const app = await createTestApp({
        database: name,
        orm: first.ormOptions,
        options: { transport, relay: { ...relaySettings, ...relay }, ...options },
      });
      others.push(app);
      return app;
    };
    const leave = async (app: TestApp): Promise<void> => {
      others = others.filter((other) => other !== app);
      await app.close();
    };
    const execute = <T extends object = Record<string, unknown>>(sql: string, parameters: unknown[] = []) =>
      first.orm.em.fork().getConnection().execute<T[]>(sql, parameters);
    const append = (...events: { key: number; step: number }[]) =>
      first.orm.em.fork().transactional(async () => {
        for (const { key, step } of events)
          first.app.get(Outbox).append(OrderPaid.of({ orderId: key, step }));
      });
    const pending = async (): Promise<number> => (await execute('select id from cqrs_outbox')).length;
    const instanceOf = (app: TestApp): string => app.app.get(OutboxRelay).instance ?? '';
    /** How many slots each live instance has, by its name. */
    const shares = async (slotCount = 16): Promise<Record<string, number>> => {
      const { slots, instances } = await first.app.get(LeaseStore).read(slotCount);
      return Object.fromEntries(
        instances.map(({ instance }) => [instance, slots.filter(({ owner }) => owner === instance).length]),
      );
    };

    beforeEach(async () => {
      transport = new ScriptedTransport();
      others = [];
      const { file: path, ...orm } = sharedDatabase(name);
      file = path;
      first = await createTestApp({ database: name, orm, options: { transport }, ownsDatabase: true });
    });
    afterEach(async () => {
      jest.restoreAllMocks();
      for (const app of others) await app.close();
      await first.close();
      if (file) rmSync(file, { force: true });
    });

    it('shares the slots evenly among those that live, as they come and go', async () => {
      const a = await enter();
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(a)]: 16 }));
      const b = await enter();
      await eventually(async () =>
        expect(await shares()).toEqual({ [instanceOf(a)]: 8, [instanceOf(b)]: 8 }),
      );
      const c = await enter();
      await eventually(async () =>
        expect(Object.values(await shares()).toSorted((x, y) => x - y)).toEqual([5, 5, 6]),
      );
      await leave(a);
      await eventually(async () =>
        expect(await shares()).toEqual({ [instanceOf(b)]: 8, [instanceOf(c)]: 8 }),
      );
    });

    it('hands over at once at an orderly end, long before the lease runs out', async () => {
      const long = { leaseMs: 5_000 };
      const a = await enter({}, { ...long, cron: '0 0 1 1 *' });
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(a)]: 16 }));
      const b = await enter({}, long);
      await eventually(async () => expect((await shares())[instanceOf(b)]).toBe(8));
      const { slots } = await first.app.get(LeaseStore).read(16);
      const startedAt = Date.now();
      await leave(a);
      expect(slots.filter(({ owner }) => owner !== instanceOf(b))).toHaveLength(8);
      await eventually(async () => expect((await shares())[instanceOf(b)]).toBe(16), 4_000);
      expect(Date.now() - startedAt).toBeLessThan(4_000);
    });

    it('takes over from one that can renew no more, which stops before its lease runs out', async () => {
      const a = await enter();
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(a)]: 16 }));
      const gone = instanceOf(a);
      const b = await enter();
      await eventually(async () => expect((await shares())[instanceOf(b)]).toBe(8));
      // It hears nothing of the database any more, and knows only its own clock.
      const answers = jest
        .spyOn(a.app.get(LeaseStore), 'renew')
        .mockReturnValue(new Promise(() => undefined));
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(b)]: 16 }), 10_000);
      answers.mockRestore();
      // It comes back as another instance, and has its share again.
      await eventually(async () => {
        expect(instanceOf(a)).not.toBe(gone);
        expect(await shares()).toEqual({ [instanceOf(a)]: 8, [instanceOf(b)]: 8 });
      }, 10_000);
    });

    it('writes nothing with a lease that was lost, whatever the broker says then', async () => {
      let answer: (result: PublishResult) => void = () => undefined;
      transport.decide = () => new Promise((resolve) => (answer = resolve));
      const a = await enter();
      await append({ key: 1, step: 1 }, { key: 1, step: 2 });
      await eventually(() => expect(transport.batches).toBe(1));
      // The others think that it has died, and one has taken its slots.
      const lost = instanceOf(a);
      await first.app.get(LeaseStore).withdraw(lost);
      jest.spyOn(a.app.get(LeaseStore), 'register').mockRejectedValue(new Error('on purpose'));
      const theirs = new ScriptedTransport();
      theirs.decide = () => REFUSED;
      const b = await enter({ transport: theirs }, { minBackoffMs: 60_000, maxBackoffMs: 60_000 });
      await eventually(async () => expect((await shares())[instanceOf(b)]).toBe(16));
      await eventually(async () => expect(await execute('select * from cqrs_outbox_retry')).toHaveLength(1));
      const removals = jest.spyOn(a.app.get(OutboxStore), 'remove');
      transport.decide = () => ({ status: 'published' });
      answer({ status: 'published' });
      await eventually(() => expect(transport.stepsOf('1')).toEqual([1, 2]));
      await delay(200);
      // It may not know yet, and ask the database, which does.
      for (const { value } of removals.mock.results) await expect(value).resolves.toBe(0);
      expect(await pending()).toBe(2);
      expect(await execute('select attempts from cqrs_outbox_retry')).toEqual([{ attempts: 1 }]);
    });

    it('waits while an instance with another number of slots is there, and then divides the entries anew', async () => {
      const a = await enter();
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(a)]: 16 }));
      const b = await enter({ slots: 5 });
      await eventually(() => expect(instanceOf(b)).not.toBe(''));
      transport.decide = () => REFUSED;
      // Written by an application with five slots, relayed by one with sixteen.
      await b.orm.em
        .fork()
        .transactional(async () => b.app.get(Outbox).append(OrderPaid.of({ orderId: 9, step: 1 })));
      await append({ key: 9, step: 2 }, { key: 8, step: 1 });
      await eventually(async () => expect(await execute('select * from cqrs_outbox_retry')).toHaveLength(2));
      expect((await shares(5))[instanceOf(b)]).toBe(0);
      expect(b.app.get(OutboxRelay).health()).toEqual([expect.objectContaining({ state: 'up' })]);
      await leave(a);
      await eventually(async () => expect((await shares(5))[instanceOf(b)]).toBe(5));
      transport.decide = () => ({ status: 'published' });
      await eventually(async () => expect(await pending()).toBe(0));
      expect(transport.stepsOf('9')).toEqual([1, 2]);
      expect(transport.stepsOf('8')).toEqual([1]);
    });

    const edits: Record<string, string[]> = {
      'its slots deleted': ['delete from cqrs_outbox_slot'],
      'its owners overwritten': ["update cqrs_outbox_slot set owner = 'somebody'"],
      'its epochs set back': ['update cqrs_outbox_slot set epoch = 0'],
      'its instances deleted': ['delete from cqrs_outbox_relay'],
      'its expiries set a day ahead, as after a clock that was set back': [
        'update cqrs_outbox_relay set expires_at = expires_at + 86400000',
      ],
      'its expiries set a day back, as after a clock that was set ahead': [
        'update cqrs_outbox_relay set expires_at = expires_at - 86400000',
      ],
      'an instance put in that takes no slots': [
        "insert into cqrs_outbox_relay (instance, slot_count, lease_ms, expires_at) values ('ghost', 16, 9000000000000, 9000000000000)",
      ],
    };
    for (const [what, statements] of Object.entries(edits)) {
      it(`goes on when the lease table was edited by hand: ${what}`, async () => {
        const a = await enter();
        const b = await enter();
        await eventually(async () => expect((await shares())[instanceOf(b)]).toBe(8));
        for (const statement of statements) await execute(statement);
        const keys = Array.from({ length: 40 }, (_, key) => key);
        for (const step of [1, 2, 3]) await append(...keys.map((key) => ({ key, step })));
        await eventually(async () => expect(await pending()).toBe(0), 20_000);
        for (const key of keys) expect(new Set(transport.stepsOf(String(key)))).toEqual(new Set([1, 2, 3]));
        await eventually(async () => {
          const all = await shares();
          expect(Math.abs((all[instanceOf(a)] ?? 0) - (all[instanceOf(b)] ?? 0))).toBeLessThanOrEqual(1);
          expect((all[instanceOf(a)] ?? 0) + (all[instanceOf(b)] ?? 0)).toBe(16);
        }, 20_000);
      });
    }

    it('leaves to others what they have leased, when one relays by hand', async () => {
      transport.onBatch = () => delay(300);
      const a = await enter({}, { cron: '0 0 1 1 *' });
      await eventually(async () => expect(await shares()).toEqual({ [instanceOf(a)]: 16 }));
      const byHand = await first.app.get(OutboxRelay).runOnce();
      expect(byHand).toEqual({ default: { published: 0, refused: 0, deadLettered: 0 } });
      // A guest had no share: nothing was handed over for it.
      expect(await shares()).toEqual({ [instanceOf(a)]: 16 });
    });

    it('keeps the order of each key, and sends nothing twice, while relays come and go', async () => {
      const keys = Array.from({ length: 24 }, (_, key) => key);
      await enter();
      const appended = new AbortController();
      let steps = 0;
      const appending = (async () => {
        while (!appended.signal.aborted) {
          steps++;
          await append(...keys.map((key) => ({ key, step: steps })));
          await delay(5);
        }
      })();
      for (let round = 0; round < 4; round++) {
        const app = await enter();
        await eventually(async () => expect((await shares())[instanceOf(app)]).toBeGreaterThan(0));
        await leave(others[round % others.length]!);
      }
      appended.abort();
      await appending;
      await eventually(async () => expect(await pending()).toBe(0));
      const expected = Array.from({ length: steps }, (_, index) => index + 1);
      for (const key of keys) expect(transport.stepsOf(String(key))).toEqual(expected);
    });

    it('tells of leases and batches, each by the instance that it is of', async () => {
      const leases: LeaseDiagnostic[] = [];
      const batches: BatchDiagnostic[] = [];
      const onLease = (message: unknown): void => void leases.push(message as LeaseDiagnostic);
      const onBatch = (message: unknown): void => void batches.push(message as BatchDiagnostic);
      subscribe('cqrs-outbox:lease-gained', onLease);
      subscribe('cqrs-outbox:publishing', onBatch);
      try {
        const a = await enter();
        await append({ key: 1, step: 1 });
        await eventually(async () => expect(await pending()).toBe(0));
        expect(leases.flatMap(({ slots }) => slots)).toHaveLength(16);
        expect(leases[0]).toMatchObject({ source: 'tests', instance: instanceOf(a) });
        expect(batches).toHaveLength(1);
        expect(batches[0]).toMatchObject({ instance: instanceOf(a), destination: 'default' });
      } finally {
        unsubscribe('cqrs-outbox:lease-gained', onLease);
        unsubscribe('cqrs-outbox:publishing', onBatch);
      }
    });
  });
}
