import { afterEach, expect, it, jest } from '@jest/globals';
import {
  ArchiveStore,
  DeadLetterStore,
  InboxStore,
  type CqrsOutboxOptions,
  type HousekeepingOptions,
} from '@cqrs-outbox/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { StockClosed, StockMoved } from './events.ts';
import { NEVER, outboxFixtures, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const HOUR_MS = 3_600_000;
const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const closed = (item: string, ...steps: number[]) => steps.map((step) => StockClosed.of({ item, step }));

/** Every store is cleaned of what is over an hour old, again and again. */
const ALL: HousekeepingOptions = {
  archiveRetentionMs: HOUR_MS,
  inboxRetentionMs: HOUR_MS,
  redeliveryWindowMs: HOUR_MS,
  deadLetterRetentionMs: HOUR_MS,
  intervalMs: 20,
};

for (const { name, needs } of DATABASES) {
  describeWith(needs, `housekeeping on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;

    const run = async (housekeeping: HousekeepingOptions, relay = {}): Promise<Instance> => {
      const options: Partial<CqrsOutboxOptions> = { housekeeping, relay: { cron: NEVER, ...relay } };
      const instance = await fixture.start(options);
      await eventually(() => expect(instance.relay.instance).toBeDefined());
      return instance;
    };
    const age = (table: string, column: string, key: string) =>
      fixture.sql(`update ${table} set ${column} = ${column} - ? where message_key = ?`, [2 * HOUR_MS, key]);
    const keysOf = async (table: string): Promise<string[]> => {
      const rows = await fixture.sql<{ message_key: string }>(`select message_key from ${table} order by id`);
      return rows.map(({ message_key }) => message_key);
    };
    const fillInbox = async (count: number, ageMs: number): Promise<void> => {
      const rows = Array.from({ length: count }, (_, index) => [
        `m-${ageMs}-${index}`,
        'h',
        Date.now() - ageMs,
      ]);
      for (let from = 0; from < count; from += 200) {
        const part = rows.slice(from, from + 200);
        await fixture.sql(
          `insert into cqrs_inbox (message_id, handler, received_at) values ${part.map(() => '(?, ?, ?)').join(', ')}`,
          part.flat(),
        );
      }
    };
    /** Calls of each purge in an application, from its start on. */
    const spiesOf = (instance: Instance) => ({
      archive: jest.spyOn(instance.get(ArchiveStore), 'purge'),
      inbox: jest.spyOn(instance.get(InboxStore), 'purge'),
      deadLetters: jest.spyOn(instance.get(DeadLetterStore), 'purge'),
    });

    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('deletes of archive, inbox and dead letters what is over, and nothing younger', async () => {
      fixture = await openFixture({ housekeeping: { archiveRetentionMs: HOUR_MS } });
      const { first } = fixture;
      fixture.transport.decide = (key) =>
        key.startsWith('bad')
          ? { status: 'refused', error: new Error('never'), permanent: true }
          : { status: 'published' };
      await first.append(['old', 'young', 'bad old', 'bad young'].flatMap((key) => moved(key, 1)));
      await first.relay.runOnce();
      await age('cqrs_outbox_archive', 'published_at', 'old');
      await age('cqrs_outbox_dead_letter', 'failed_at', 'bad old');
      await fillInbox(3, 2 * HOUR_MS);
      await fillInbox(2, HOUR_MS / 2);
      await run(ALL);
      await eventually(async () => {
        expect(await keysOf('cqrs_outbox_archive')).toEqual(['young']);
        expect(await fixture.count('cqrs_inbox')).toBe(2);
        expect(await keysOf('cqrs_outbox_dead_letter')).toEqual(['bad young']);
      });
    });

    it('keeps all of it unless it is told otherwise', async () => {
      fixture = await openFixture();
      const { first } = fixture;
      fixture.transport.decide = () => ({ status: 'refused', error: new Error('never'), permanent: true });
      await first.append(moved('old', 1));
      await first.relay.runOnce();
      await age('cqrs_outbox_dead_letter', 'failed_at', 'old');
      await fillInbox(1, 1_000 * HOUR_MS);
      const instance = await run({ archiveRetentionMs: HOUR_MS, intervalMs: 5 });
      const { archive, inbox, deadLetters } = spiesOf(instance);
      await eventually(() => expect(archive.mock.calls.length).toBeGreaterThan(3));
      expect([inbox.mock.calls, deadLetters.mock.calls]).toEqual([[], []]);
      expect([await fixture.count('cqrs_inbox'), await fixture.count('cqrs_outbox_dead_letter')]).toEqual([
        1, 1,
      ]);
    });

    it('deletes messages that were set aside when they are over, if it is told to', async () => {
      fixture = await openFixture();
      const { first } = fixture;
      for (const topic of ['old', 'young']) {
        const text = { messageId: topic, name: 'n', topic, key: 'k', coordinates: 'c', reason: 'r' };
        const rest = { stack: undefined, attempts: 0, headers: {}, payload: null };
        await first.get(InboxStore).setAside({ ...text, ...rest });
      }
      await fixture.sql(
        `update cqrs_inbox_dead_letter set rejected_at = rejected_at - ${2 * HOUR_MS} where topic = 'old'`,
      );
      const instance = await run(ALL);
      const { archive } = spiesOf(instance);
      await eventually(() => expect(archive.mock.calls.length).toBeGreaterThan(3));
      expect(await fixture.count('cqrs_inbox_dead_letter')).toBe(2);
      await run({ inboxDeadLetterRetentionMs: HOUR_MS, intervalMs: 20 });
      await fixture.stop(instance);
      await eventually(async () => {
        const rows = await fixture.sql('select topic from cqrs_inbox_dead_letter');
        expect(rows).toEqual([{ topic: 'young' }]);
      });
    });

    it('keeps a dead letter that parks its key, however old it is', async () => {
      fixture = await openFixture();
      const { first } = fixture;
      fixture.transport.decide = () => ({ status: 'refused', error: new Error('never'), permanent: true });
      await first.append([...closed('parked', 1), ...moved('given up', 1), ...closed('parked', 2)]);
      await first.relay.runOnce();
      for (const key of ['parked', 'given up']) await age('cqrs_outbox_dead_letter', 'failed_at', key);
      fixture.transport.decide = () => ({ status: 'published' });
      const instance = await run(ALL);
      const { deadLetters } = spiesOf(instance);
      await eventually(async () => expect(await keysOf('cqrs_outbox_dead_letter')).toEqual(['parked']));
      const cleaned = deadLetters.mock.calls.length;
      await eventually(() => expect(deadLetters.mock.calls.length).toBeGreaterThan(cleaned + 3));
      await instance.relay.runOnce();
      expect(await keysOf('cqrs_outbox_dead_letter')).toEqual(['parked']);
      expect(fixture.transport.stepsOf('parked')).toEqual([]);
    });

    it('deletes in small batches, between which the relay goes on', async () => {
      fixture = await openFixture();
      await fillInbox(1_250, 2 * HOUR_MS);
      const instance = await fixture.start({ housekeeping: ALL, relay: { cron: NEVER } });
      const store = instance.get(InboxStore);
      const purge = store.purge.bind(store);
      const { inbox } = spiesOf(instance);
      const published: number[] = [];
      inbox.mockImplementation(async (...args) => {
        const deleted = await purge(...args);
        // Nobody waits for the housekeeper: what is appended now is published before it goes on.
        if (deleted > 0) {
          await instance.append(moved('a', published.length));
          await eventually(() => expect(fixture.transport.stepsOf('a')).toHaveLength(published.length + 1));
          published.push(deleted);
        }
        return deleted;
      });
      await eventually(async () => expect(await fixture.count('cqrs_inbox')).toBe(0));
      expect(inbox.mock.calls.every(([, limit]) => limit === 500)).toBe(true);
      await eventually(() => expect(published).toEqual([500, 500, 250]));
    });

    it('cleans the others when one fails, and tries that one again', async () => {
      fixture = await openFixture();
      await fillInbox(1, 2 * HOUR_MS);
      const instance = await fixture.start({ housekeeping: ALL, relay: { cron: NEVER } });
      const { archive, deadLetters } = spiesOf(instance);
      archive.mockRejectedValue(new Error('no such table'));
      await eventually(async () => expect(await fixture.count('cqrs_inbox')).toBe(0));
      await eventually(() => expect(deadLetters.mock.calls.length).toBeGreaterThan(1));
      expect(archive.mock.calls.length).toBeGreaterThan(1);
    });

    it('is done by one of two instances, and by the other when that one has gone', async () => {
      fixture = await openFixture();
      const [one, two] = [await run(ALL), await run(ALL)];
      const spies = new Map([one, two].map((instance) => [instance, spiesOf(instance)]));
      const callsOf = (instance: Instance | undefined): number =>
        (instance && spies.get(instance)?.inbox.mock.calls.length) ?? 0;
      await eventually(() => expect(callsOf(one) + callsOf(two)).toBeGreaterThan(10));
      const [busy, idle] = one.relay.isFirst ? [one, two] : [two, one];
      expect([busy.relay.isFirst, idle.relay.isFirst]).toEqual([true, false]);
      const before = { busy: callsOf(busy), idle: callsOf(idle) };
      await eventually(() => expect(callsOf(busy)).toBeGreaterThan(before.busy + 5));
      expect(callsOf(idle)).toBe(before.idle);
      await fixture.stop(busy);
      await eventually(() => expect(callsOf(idle)).toBeGreaterThan(before.idle + 5));
    });

    it('ends with the application, in the middle of its work', async () => {
      fixture = await openFixture();
      await fillInbox(1_250, 2 * HOUR_MS);
      const instance = await fixture.start({ housekeeping: ALL, relay: { cron: NEVER } });
      const { inbox } = spiesOf(instance);
      await eventually(() => expect(inbox.mock.calls.length).toBe(1));
      await fixture.stop(instance);
      const left = await fixture.count('cqrs_inbox');
      expect(left).toBeGreaterThanOrEqual(250);
      expect(inbox.mock.calls.length).toBeLessThanOrEqual(2);
    });

    // It waits for a time limit, which is the same on every database.
    if (name === 'libsql') {
      it('does not hold up the end of the application when the database hangs', async () => {
        fixture = await openFixture();
        const instance = await fixture.start({ housekeeping: ALL, relay: { cron: NEVER } });
        const { archive } = spiesOf(instance);
        archive.mockReturnValue(new Promise(() => undefined));
        await eventually(() => expect(archive.mock.calls.length).toBe(1));
        await fixture.stop(instance);
      }, 15_000);
    }
  });
}
