import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import {
  ArchiveStore,
  DeadLetters,
  OutboxArchive,
  OutboxStore,
  type CqrsOutboxOptions,
} from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { StockArchived, StockAudited, StockCounted, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, QUICK, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const HOUR_MS = 3_600_000;
const ARCHIVING: Partial<CqrsOutboxOptions> = { housekeeping: { archiveRetentionMs: 24 * HOUR_MS } };
const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the archive on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;
    let archive: OutboxArchive;

    const use = (instance: Instance): void => {
      app = instance;
      archive = app.get(OutboxArchive);
    };
    const archivedIds = async (): Promise<string[]> => {
      const rows = await fixture.sql<{ message_id: string }>(
        'select message_id from cqrs_outbox_archive order by id',
      );
      return rows.map(({ message_id }) => message_id);
    };
    /** What arrived from now on. */
    const forgetArrivals = (): void => {
      fixture.transport.arrivals.length = fixture.audit.arrivals.length = 0;
      fixture.transport.published.length = fixture.audit.published.length = 0;
    };

    beforeEach(async () => {
      fixture = await openFixture(ARCHIVING);
      use(fixture.first);
    });
    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('is off by default: nothing is kept, and a replay says how to turn it on', async () => {
      use(await fixture.restart());
      await app.append(moved('a', 1, 2));
      await app.relay.runOnce();
      expect(await fixture.count('cqrs_outbox_archive')).toBe(0);
      await expect(archive.replay({})).rejects.toMatchObject({
        code: 'ARCHIVE_OFF',
        message: 'Published entries are not kept: set housekeeping.archiveRetentionMs in forRoot.',
      });
    });

    it('keeps what was published, complete, and nothing else', async () => {
      fixture.transport.decide = (key) =>
        key === 'bad'
          ? { status: 'refused', error: new Error('never'), permanent: true }
          : { status: 'published' };
      await app.append([...moved('a', 1), ...moved('bad', 1)], { headers: { tenant: 'acme' } });
      await app.append(moved('late', 1), { availableAt: new Date(Date.now() + HOUR_MS) });
      await app.relay.runOnce();
      const rows = await fixture.sql('select * from cqrs_outbox_archive');
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({
        message_id: fixture.transport.idsOf('a')[0],
        message_key: 'a',
        name: 'stock.moved',
        destination: 'default',
        headers: '{"tenant":"acme"}',
        dead_letter_policy: 'continue',
      });
      expect(Math.abs(Number(rows[0]?.['published_at']) - Date.now())).toBeLessThan(20_000);
    });

    it('is kept before the entry is deleted: a failure in between leads to another delivery, and one row', async () => {
      const store = app.get(OutboxStore);
      jest.spyOn(store, 'remove').mockRejectedValueOnce(new Error('database is away'));
      await app.append(moved('a', 1));
      await expect(app.relay.runOnce()).rejects.toThrow('database is away');
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_archive')]).toEqual([
        1, 1,
      ]);
      await app.relay.runOnce();
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_archive')]).toEqual([
        0, 1,
      ]);
    });

    it('keeps the entry in the outbox when it can not be archived', async () => {
      jest.spyOn(app.get(ArchiveStore), 'add').mockRejectedValueOnce(new Error('disk is full'));
      await app.append(moved('a', 1));
      await expect(app.relay.runOnce()).rejects.toThrow('disk is full');
      expect(await fixture.count('cqrs_outbox')).toBe(1);
      await app.relay.runOnce();
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_archive')]).toEqual([
        0, 1,
      ]);
    });

    it('replays by key, name and destination, with the same ids in the same order', async () => {
      await app.append([
        ...moved('a', 1),
        StockCounted.of({ item: 'a', step: 2 }),
        ...moved('b', 3),
        StockArchived.of({ item: 'a', step: 4 }),
        StockAudited.of({ item: 'a', step: 5 }),
      ]);
      await app.relay.runOnce();
      const [ids, auditIds] = [fixture.transport.idsOf('a'), fixture.audit.idsOf('a')];
      const steps = () => [
        fixture.transport.stepsOf('a'),
        fixture.transport.stepsOf('b'),
        fixture.audit.stepsOf('a'),
      ];
      const replay = async (selection: Parameters<OutboxArchive['replay']>[0]) => {
        forgetArrivals();
        const count = await archive.replay(selection);
        await app.relay.runOnce();
        return [count, ...steps()];
      };
      expect(await replay({ key: 'a' })).toEqual([5, [1, 2, 5], [], [4, 5]]);
      expect([fixture.transport.idsOf('a'), fixture.audit.idsOf('a')]).toEqual([ids, auditIds]);
      expect(await replay({ name: 'stock.moved' })).toEqual([2, [1], [3], []]);
      expect(await replay({ destination: 'audit' })).toEqual([2, [], [], [4, 5]]);
      expect(await replay({ key: 'a', name: 'stock.audited', destination: 'default' })).toEqual([
        1,
        [5],
        [],
        [],
      ]);
      expect(await replay({ key: 'nobody' })).toEqual([0, [], [], []]);
      expect(await replay({})).toEqual([6, [1, 2, 5], [3], [4, 5]]);
      // A second publication is no second row, and does not change the order.
      expect(await fixture.count('cqrs_outbox_archive')).toBe(6);
    });

    it('replays what was published in a range of time, its end excluded', async () => {
      for (const step of [1, 2, 3, 4]) {
        await app.append(moved('a', step));
        await app.relay.runOnce();
        await fixture.sql('update cqrs_outbox_archive set published_at = ? where published_at > ?', [
          step * 1_000,
          1_000_000,
        ]);
      }
      forgetArrivals();
      await expect(archive.replay({ from: new Date(2_000), to: new Date(4_000) })).resolves.toBe(2);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([2, 3]);
      forgetArrivals();
      await expect(archive.replay({ from: new Date(3_001) })).resolves.toBe(1);
      await expect(archive.replay({ to: new Date(1_000) })).resolves.toBe(0);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([4]);
    });

    it('is not selected by a condition that is undefined, unknown or no value of its kind', async () => {
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      const wrong: object[] = [
        { key: undefined },
        { key: null },
        { keys: 'a' },
        { name: 7 },
        { from: '2026-01-01' },
        { to: new Date(Number.NaN) },
      ];
      for (const selection of wrong) {
        await expect(archive.replay(selection)).rejects.toMatchObject({ code: 'ARCHIVE_SELECTION' });
      }
      expect(await fixture.count('cqrs_outbox')).toBe(0);
    });

    it('replays by the thousand, in order', async () => {
      const all = range(0, 1_201);
      await app.append(moved('a', ...all));
      await app.relay.runOnce();
      expect(await archivedIds()).toEqual(fixture.transport.idsOf('a'));
      forgetArrivals();
      await expect(archive.replay({ key: 'a' })).resolves.toBe(1_201);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual(all);
    });

    it('replays twice what was published in between, and once what still waits', async () => {
      await app.append(moved('a', 1, 2));
      await app.relay.runOnce();
      const ids = fixture.transport.idsOf('a');
      await expect(archive.replay({ key: 'a' })).resolves.toBe(2);
      await expect(archive.replay({ key: 'a' })).resolves.toBe(0);
      await app.relay.runOnce();
      await expect(archive.replay({ key: 'a' })).resolves.toBe(2);
      await app.relay.runOnce();
      expect(fixture.transport.idsOf('a')).toEqual([...ids, ...ids, ...ids]);
    });

    it('replays while the relay runs and more is appended: nothing is lost, and first arrivals are in order', async () => {
      const running = await fixture.start({ ...ARCHIVING, relay: { cron: NEVER, batchSize: 20 } });
      const keys = ['a', 'b', 'c'];
      await running.append(keys.flatMap((key) => moved(key, ...range(0, 200))));
      await eventually(() => expect(fixture.transport.arrivals.length).toBe(600));
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
      const writing = (async () => {
        for (const step of range(200, 240)) await running.append(keys.flatMap((key) => moved(key, step)));
      })();
      const replayed = await running.get(OutboxArchive).replay({});
      await writing;
      expect(replayed).toBeGreaterThanOrEqual(600);
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
      for (const key of keys) {
        expect([...new Set(fixture.transport.stepsOf(key))]).toEqual(range(0, 240));
        // Each replayed one came once more, and the replayed ones in their order.
        const seen = new Set<number>();
        const again = fixture.transport.stepsOf(key).filter((step) => seen.size === seen.add(step).size);
        expect(again).toEqual(again.toSorted((x, y) => x - y));
        expect(again.length).toBeGreaterThanOrEqual(200);
      }
      expect(fixture.transport.arrivals.length).toBe(720 + replayed);
      expect(new Set(fixture.transport.arrivals.map(({ id }) => id)).size).toBe(720);
    });

    it('appends a replay behind what waits of the key', async () => {
      await app.append(moved('a', 1, 2));
      await app.relay.runOnce();
      forgetArrivals();
      await app.append(moved('a', 3));
      await archive.replay({ key: 'a' });
      await app.append(moved('a', 4));
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([3, 1, 2, 4]);
    });

    it('has a replayed entry that is refused become a dead letter, also a second time, without a loop', async () => {
      use(await fixture.restart({ ...ARCHIVING, relay: QUICK }));
      await app.append(moved('a', 1));
      await eventually(async () => expect(await archivedIds()).toHaveLength(1));
      const [id] = await archivedIds();
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
      fixture.transport.decide = () => ({ status: 'refused', error: new Error('no'), permanent: true });
      for (const round of [1, 2]) {
        await expect(archive.replay({ key: 'a' })).resolves.toBe(1);
        await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
        expect([round, await fixture.count('cqrs_outbox_dead_letter')]).toEqual([round, 1]);
      }
      // A copy waits in the outbox already: requeueing the dead letter adds no other.
      fixture.transport.decide = () => ({ status: 'unavailable', error: new Error('away') });
      await archive.replay({ key: 'a' });
      const letters = app.get(DeadLetters);
      await letters.requeueAll();
      expect([await fixture.count('cqrs_outbox'), await letters.list()]).toEqual([1, []]);
      forgetArrivals();
      fixture.transport.decide = () => ({ status: 'published' });
      await eventually(() => expect(fixture.transport.idsOf('a')).toEqual([id]));
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
      expect(fixture.transport.given.length).toBeLessThan(40);
    });
  });
}
