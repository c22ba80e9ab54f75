import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Outbox, OutboxRelay, type CqrsOutboxOptions } from '@cqrs-outbox/core';
import type { EntityManager } from '@mikro-orm/sql';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { OrderPaid } from '../support/orders.ts';
import { DOWN, REFUSED, ScriptedTransport } from '../support/scripted-transport.ts';

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the relay on ${name}`, () => {
    let transport: ScriptedTransport;
    let test: TestApp;
    let relay: OutboxRelay;

    const start = async (options: Partial<CqrsOutboxOptions> = {}): Promise<void> => {
      transport = new ScriptedTransport();
      test = await createTestApp({ database: name, options: { transport, ...options } });
      relay = test.app.get(OutboxRelay);
    };

    const append = (...events: { key: number; step: number }[]) =>
      test.orm.em.fork().transactional(async () => {
        for (const { key, step } of events) test.app.get(Outbox).append(OrderPaid.of({ orderId: key, step }));
      });

    const count = async (table: string): Promise<number> => {
      const sql = `select count(*) as total from ${table}`;
      const [row] = await test.orm.em.fork().getConnection().execute<{ total: number | string }[]>(sql);
      return Number(row?.total);
    };

    /** Makes every waiting retry due, without waiting. */
    const makeRetriesDue = async (): Promise<void> => {
      await test.orm.em.fork().getConnection().execute('update cqrs_outbox_retry set retry_at = 0');
    };

    const runUntilQuiet = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) {
        await makeRetriesDue();
        const { default: report } = await relay.runOnce();
        if (report && report.published + report.refused + report.deadLettered === 0) return;
      }
    };

    beforeEach(() => start());
    afterEach(() => test.close());

    it('publishes in order and deletes what was published', async () => {
      await append({ key: 1, step: 1 }, { key: 2, step: 1 }, { key: 1, step: 2 });
      await expect(relay.runOnce()).resolves.toEqual({
        default: { published: 3, refused: 0, deadLettered: 0 },
      });
      expect(transport.published).toEqual([
        { key: '1', step: 1 },
        { key: '2', step: 1 },
        { key: '1', step: 2 },
      ]);
      expect(await count('cqrs_outbox')).toBe(0);
      await expect(relay.runOnce()).resolves.toEqual({
        default: { published: 0, refused: 0, deadLettered: 0 },
      });
    });

    it('reads in batches, the next while the one before it is being published', async () => {
      await test.close();
      await start({ relay: { batchSize: 10, cron: '0 0 1 1 *' } });
      await append(...Array.from({ length: 35 }, (_, step) => ({ key: step % 3, step })));
      await relay.runOnce();
      await eventually(() => expect(transport.published).toHaveLength(35));
      for (const key of ['0', '1', '2'])
        expect(transport.stepsOf(key)).toEqual(transport.stepsOf(key).toSorted((a, b) => a - b));
      expect(transport.batches).toBeGreaterThanOrEqual(4);
      await eventually(async () => expect(await count('cqrs_outbox')).toBe(0));
    });

    it('holds back the key of a refused entry and no other, and keeps its order over the retries', async () => {
      let refusals = 1;
      transport.decide = (key, step) =>
        key === '1' && step === 2 && refusals-- > 0 ? REFUSED : { status: 'published' };
      await append({ key: 1, step: 1 }, { key: 1, step: 2 }, { key: 1, step: 3 }, { key: 2, step: 1 });
      await expect(relay.runOnce()).resolves.toEqual({
        default: { published: 2, refused: 1, deadLettered: 0 },
      });
      expect(transport.published).toEqual([
        { key: '1', step: 1 },
        { key: '2', step: 1 },
      ]);
      await test.orm.em
        .fork()
        .getConnection()
        .execute('update cqrs_outbox_retry set retry_at = retry_at + 600000');
      await append({ key: 1, step: 4 }, { key: 2, step: 2 });
      await relay.runOnce();
      expect(transport.stepsOf('1')).toEqual([1]);
      expect(transport.stepsOf('2')).toEqual([1, 2]);
      await runUntilQuiet();
      expect(transport.stepsOf('1')).toEqual([1, 2, 3, 4]);
      expect([await count('cqrs_outbox'), await count('cqrs_outbox_retry')]).toEqual([0, 0]);
    });

    const smallBatches = { batchSize: 2, cron: '0 0 1 1 *', minBackoffMs: 60_000, maxBackoffMs: 60_000 };

    it('holds back a key in batches that were read before its entry was refused', async () => {
      await test.close();
      await start({ relay: smallBatches });
      transport.decide = (key, step) => (key === '1' && step === 1 ? REFUSED : { status: 'published' });
      await append({ key: 1, step: 1 }, { key: 2, step: 1 }, { key: 1, step: 2 }, { key: 2, step: 2 });
      await eventually(() => expect(transport.stepsOf('2')).toEqual([1, 2]));
      await eventually(async () => expect(await count('cqrs_outbox')).toBe(2));
      expect(transport.stepsOf('1')).toEqual([]);
    });

    it('sends a due retry alone, and its followers in order, wherever the batches end', async () => {
      await test.close();
      await start({ relay: smallBatches });
      transport.decide = (key) => (key === '1' ? REFUSED : DOWN);
      await append({ key: 1, step: 1 });
      await eventually(async () => expect(await count('cqrs_outbox_retry')).toBe(1));
      const others = [2, 3, 4].map((key) => ({ key, step: 1 }));
      await append(...others.slice(0, 1), { key: 1, step: 2 }, ...others.slice(1), { key: 1, step: 3 });
      await eventually(() => expect(relay.health()).toEqual([expect.objectContaining({ state: 'down' })]));
      // [1.1 2.1] and [3.1 4.1] are read while 1.2 is held back: 1.3 must not come before it.
      transport.decide = () => ({ status: 'published' });
      await makeRetriesDue();
      await relay.runOnce();
      await relay.runOnce();
      expect(transport.stepsOf('1')).toEqual([1, 2, 3]);
      expect(await count('cqrs_outbox')).toBe(0);
    });

    it('does not let followers pass a retry that becomes due while others are being published', async () => {
      await test.close();
      await start({ relay: smallBatches });
      let isRefusing = true;
      transport.decide = (key) => (key === '1' && isRefusing ? REFUSED : { status: 'published' });
      await append({ key: 1, step: 1 });
      await eventually(async () => expect(await count('cqrs_outbox_retry')).toBe(1));
      isRefusing = false;
      transport.onBatch = makeRetriesDue;
      const others = [2, 3, 4, 5].map((key) => ({ key, step: 1 }));
      await append(...others.slice(0, 2), { key: 1, step: 2 }, ...others.slice(2), { key: 1, step: 3 });
      await eventually(async () => {
        await relay.runOnce();
        expect(await count('cqrs_outbox')).toBe(0);
      });
      expect(transport.stepsOf('1')).toEqual([1, 2, 3]);
    });

    it('keeps the order of a key whose earlier entry commits while a backlog is being published', async () => {
      if (name === 'libsql') return; // It has one writer: ids are drawn in the order of the commits.
      await test.close();
      await start({ relay: smallBatches });
      const insert = (em: EntityManager, key: number, step: number) =>
        em.getConnection().execute(
          `insert into cqrs_outbox (message_id, destination, topic, message_key, name, version, source, occurred_at,
            correlation_id, content_type, headers, payload)
            values (?, 'default', 'orders', ?, 'orders.paid', 1, 's', 0, 'c', 'application/json', '{}', ?)`,
          [randomUUID(), String(key), Buffer.from(JSON.stringify({ orderId: key, step }))],
          'run',
          em.getTransactionContext(),
        );
      const em = test.orm.em.fork();
      for (const key of [1, 2]) await insert(em, key, 1);
      // Transaction A draws its id now, and commits only while the first batch is being published.
      const transactionA = test.orm.em.fork();
      await transactionA.begin();
      await insert(transactionA, 7, 1);
      for (const key of [4, 5]) await insert(em, key, 1);
      transport.onBatch = async () => {
        transport.onBatch = async () => undefined;
        await new Promise((resolve) => setTimeout(resolve, 200));
        await transactionA.commit();
        await insert(em, 7, 2);
      };
      await relay.runOnce();
      await relay.runOnce();
      expect(transport.stepsOf('7')).toEqual([1, 2]);
      expect(transport.published).toHaveLength(6);
    });

    it('tries again when a retry is due, without a tick and without news', async () => {
      await test.close();
      await start({ relay: { cron: '0 0 1 1 *', minBackoffMs: 20, maxBackoffMs: 40 } });
      let refusals = 3;
      transport.decide = () => (refusals-- > 0 ? REFUSED : { status: 'published' });
      await append({ key: 1, step: 1 }, { key: 1, step: 2 });
      await eventually(() => expect(transport.stepsOf('1')).toEqual([1, 2]), 10_000);
    });

    it('turns an entry into a dead letter after the last attempt, and goes on with its key', async () => {
      await test.close();
      await start({ relay: false });
      transport.decide = (_, step) => (step === 1 ? REFUSED : { status: 'published' });
      await append({ key: 1, step: 1 }, { key: 1, step: 2 });
      await runUntilQuiet();
      expect(transport.stepsOf('1')).toEqual([2]);
      const [letter] = await test.orm.em
        .fork()
        .getConnection()
        .execute<Record<string, unknown>[]>('select * from cqrs_outbox_dead_letter');
      expect(letter).toMatchObject({
        name: 'orders.paid',
        message_key: '1',
        attempts: 10,
        last_error: 'too hot',
      });
      expect([await count('cqrs_outbox'), await count('cqrs_outbox_retry')]).toEqual([0, 0]);
    });

    it('ends a pass in which only held keys are left, however many batches they fill', async () => {
      await test.close();
      await start({ relay: { ...smallBatches, minBackoffMs: 1, maxBackoffMs: 1, maxAttempts: 3 } });
      transport.decide = () => REFUSED;
      await append(...[1, 2, 3, 4, 5].map((key) => ({ key, step: 1 })));
      await eventually(async () => expect(await count('cqrs_outbox_dead_letter')).toBe(5));
      await eventually(async () =>
        expect([await count('cqrs_outbox'), await count('cqrs_outbox_retry')]).toEqual([0, 0]),
      );
    });

    it('gives up at once what can never be taken', async () => {
      transport.decide = () => ({ status: 'refused', error: new Error('never'), permanent: true });
      await append({ key: 1, step: 1 });
      await expect(relay.runOnce()).resolves.toEqual({
        default: { published: 0, refused: 0, deadLettered: 1 },
      });
      expect(await count('cqrs_outbox_dead_letter')).toBe(1);
    });

    it('uses up no attempts while the destination is down, says so, and publishes all when it is back', async () => {
      await test.close();
      await start({ relay: { minBackoffMs: 1, maxBackoffMs: 20, maxAttempts: 2 } });
      transport.decide = () => DOWN;
      await append({ key: 1, step: 1 }, { key: 1, step: 2 });
      await eventually(() => expect(transport.batches).toBeGreaterThan(5));
      expect(relay.health()).toEqual([
        expect.objectContaining({ destination: 'default', state: 'down', reason: 'broker is away' }),
      ]);
      expect([await count('cqrs_outbox'), await count('cqrs_outbox_retry')]).toEqual([2, 0]);
      transport.decide = () => ({ status: 'published' });
      await eventually(() => expect(transport.stepsOf('1')).toEqual([1, 2]));
      await eventually(() =>
        expect(relay.health()).toEqual([
          { destination: 'default', state: 'up', breaker: 'closed', failures: 0 },
        ]),
      );
    });

    it('deletes what was published before the destination went down in mid-batch', async () => {
      transport.decide = (key) => (key === '2' ? DOWN : { status: 'published' });
      await append({ key: 1, step: 1 }, { key: 2, step: 1 }, { key: 1, step: 2 });
      await expect(relay.runOnce()).rejects.toThrow('broker is away');
      expect(transport.stepsOf('1')).toEqual([1, 2]);
      expect(await count('cqrs_outbox')).toBe(1);
    });

    it('survives errors of the database', async () => {
      await test.close();
      await start({ relay: { minBackoffMs: 1, maxBackoffMs: 20 } });
      const connection = test.orm.em.fork().getConnection();
      await connection.execute('alter table cqrs_outbox_retry rename to hidden');
      await append({ key: 1, step: 1 });
      await eventually(() => expect(relay.health()).toEqual([expect.objectContaining({ state: 'down' })]));
      await connection.execute('alter table hidden rename to cqrs_outbox_retry');
      await eventually(() => expect(transport.stepsOf('1')).toEqual([1]));
      await eventually(async () => expect(await count('cqrs_outbox')).toBe(0));
    });

    it('publishes at once after a commit, without the tick', async () => {
      await test.close();
      await start({ relay: { cron: '0 0 1 1 *' } });
      await append({ key: 1, step: 1 });
      await eventually(() => expect(transport.stepsOf('1')).toEqual([1]), 5_000);
    });

    it('publishes by the tick what another process has appended', async () => {
      await test.close();
      await start({ relay: { cron: '* * * * * *' } });
      const rows = `insert into cqrs_outbox (message_id, destination, topic, message_key, name, version, source,
        occurred_at, correlation_id, content_type, headers, payload)
        values (?, 'default', 'orders', '1', 'orders.paid', 1, 'elsewhere', 0, 'c', 'application/json', '{}', ?)`;
      await test.orm.em
        .fork()
        .getConnection()
        .execute(rows, [randomUUID(), Buffer.from('{"orderId":1,"step":8}')]);
      await eventually(() => expect(transport.stepsOf('1')).toEqual([8]), 5_000);
    });

    it('publishes one message with the earlier ones of its key, and no others', async () => {
      await append({ key: 1, step: 1 }, { key: 2, step: 1 }, { key: 1, step: 2 }, { key: 1, step: 3 });
      const [, , wanted] = await test.orm.em
        .fork()
        .getConnection()
        .execute<{ message_id: string }[]>('select message_id from cqrs_outbox order by id');
      await relay.publishOne(wanted!.message_id);
      expect(transport.published).toEqual([
        { key: '1', step: 1 },
        { key: '1', step: 2 },
      ]);
      expect(await count('cqrs_outbox')).toBe(2);
      await expect(relay.publishOne(wanted!.message_id)).rejects.toMatchObject({ code: 'ENTRY_NOT_FOUND' });
    });

    it('publishes one message that stands behind more of its key than one batch holds', async () => {
      await append(...Array.from({ length: 1_205 }, (_, step) => ({ key: 1, step })));
      const sql = 'select message_id from cqrs_outbox order by id desc';
      const [last] = await test.orm.em.fork().getConnection().execute<{ message_id: string }[]>(sql);
      await relay.publishOne(last?.message_id ?? '');
      expect(transport.stepsOf('1')).toEqual(Array.from({ length: 1_205 }, (_, step) => step));
      expect(await count('cqrs_outbox')).toBe(0);
    });

    it('sends no entry twice when one message is wanted while a pass has it in hand', async () => {
      await append({ key: 1, step: 1 }, { key: 1, step: 2 });
      const [row] = await test.orm.em
        .fork()
        .getConnection()
        .execute<{ message_id: string }[]>('select message_id from cqrs_outbox order by id');
      let release: () => void = () => undefined;
      transport.onBatch = () => new Promise((resolve) => (release = resolve));
      const pass = relay.runOnce();
      await eventually(() => expect(transport.batches).toBe(1));
      const wanted = relay.publishOne(row?.message_id ?? '').catch((error: unknown) => error);
      release();
      await pass;
      await expect(wanted).resolves.toMatchObject({ code: 'ENTRY_NOT_FOUND' });
      expect(transport.stepsOf('1')).toEqual([1, 2]);
    });

    it('says why one message was not published', async () => {
      transport.decide = () => DOWN;
      await append({ key: 1, step: 1 });
      const [row] = await test.orm.em
        .fork()
        .getConnection()
        .execute<{ message_id: string }[]>('select message_id from cqrs_outbox');
      await expect(relay.publishOne(row!.message_id)).rejects.toMatchObject({
        code: 'PUBLISH_FAILED',
        cause: { message: 'broker is away' },
      });
    });

    it('drains at shutdown', async () => {
      await test.close();
      await start({ relay: { cron: '0 0 1 1 *', batchSize: 5 } });
      transport.onBatch = () => new Promise((resolve) => setTimeout(resolve, 5));
      await append(...Array.from({ length: 40 }, (_, step) => ({ key: 1, step })));
      await test.app.close();
      expect(transport.stepsOf('1')).toHaveLength(40);
      expect(transport.isClosed).toBe(true);
    });

    it('leaves at shutdown what a destination that hangs has not taken', async () => {
      await test.close();
      await start({ relay: { cron: '0 0 1 1 *', drainTimeoutMs: 50 } });
      let release: () => void = () => undefined;
      transport.onBatch = () => new Promise((resolve) => (release = resolve));
      await append({ key: 1, step: 1 });
      await eventually(() => expect(transport.batches).toBe(1));
      const startedAt = performance.now();
      await test.app.close();
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      release();
    });

    it('gives an event for two destinations two entries, each with a state of its own', async () => {
      await test.close();
      const audit = new ScriptedTransport();
      transport = new ScriptedTransport();
      test = await createTestApp({ database: name, options: { transport: { default: transport, audit } } });
      relay = test.app.get(OutboxRelay);
      const { Audited } = await import('../support/audited.ts');
      audit.decide = () => DOWN;
      await test.orm.em
        .fork()
        .transactional(async () => test.app.get(Outbox).append(Audited.of({ step: 1 })));
      expect(await count('cqrs_outbox')).toBe(2);
      await expect(relay.runOnce()).rejects.toThrow('broker is away');
      expect(transport.published).toHaveLength(1);
      expect(await count('cqrs_outbox')).toBe(1);
      audit.decide = () => ({ status: 'published' });
      await relay.runOnce();
      expect(audit.published).toHaveLength(1);
      expect(await count('cqrs_outbox')).toBe(0);
    });
  });
}
