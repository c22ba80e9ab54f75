import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import {
  ECSTEvent,
  EventConsumer,
  EventHandler,
  InboxDeadLetters,
  InboxStore,
  InMemoryContext,
  IntegrationEvent,
  UnitOfWork,
  type HandlesEvent,
  type InboxDeadLetter,
  type MessageContext,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import type { Provider } from '@nestjs/common';
import { IsInt } from 'class-validator';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { Tally } from '../support/orders.ts';
import { NEVER, outboxFixtures, type Instance, type OutboxFixture } from './outbox-fixture.ts';

const declaration = { name: 'parcels.sent', topic: 'parcels' };

/** As it was before the fix. */
@IntegrationEvent({ ...declaration, version: 1 })
class OldParcelSent extends ECSTEvent {
  @IsInt() parcelId!: number;
}

@IntegrationEvent({ ...declaration, version: 2 })
class ParcelSent extends ECSTEvent {
  @IsInt() parcelId!: number;
}

/** What the handlers do, and have done. */
const behaviour = { broken: new Set<number>(), handled: [] as number[], gone: [] as string[] };

async function count(em: EntityManager, name: string): Promise<void> {
  const tally = await em.findOneOrFail(Tally, { name });
  tally.count++;
}

@EventHandler(ParcelSent)
class CountParcels implements HandlesEvent<ParcelSent> {
  constructor(private readonly em: EntityManager) {}

  async handle({ parcelId }: ParcelSent): Promise<void> {
    behaviour.handled.push(parcelId);
    await count(this.em, 'parcels');
  }

  handleTombstone({ key, topic }: MessageContext): void {
    behaviour.gone.push(`${topic}/${key}`);
  }
}

@EventHandler(ParcelSent)
class WeighParcels implements HandlesEvent<ParcelSent> {
  constructor(private readonly em: EntityManager) {}

  async handle({ parcelId }: ParcelSent): Promise<void> {
    await count(this.em, 'weights');
    await this.em.flush();
    if (behaviour.broken.has(parcelId)) throw new Error(`the scales are broken for ${parcelId}`);
  }
}

@EventHandler(OldParcelSent)
class OldHandler implements HandlesEvent<OldParcelSent> {
  async handle(): Promise<void> {}
}

for (const { name, needs } of DATABASES) {
  describeWith(needs, `dead letters of the inbox on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;
    let letters: InboxDeadLetters;

    const start = (...providers: Provider[]): Promise<Instance> =>
      fixture.start({ relay: { cron: NEVER } }, { providers });
    const message = (parcelId: number, given: Partial<RejectedMessage> = {}): RejectedMessage => {
      const messageId = randomUUID();
      return {
        messageId,
        name: 'parcels.sent',
        topic: 'parcels',
        key: `parcel-${parcelId}`,
        coordinates: `kafka parcels[0]@${parcelId}`,
        reason: 'it was so',
        stack: undefined,
        attempts: 0,
        headers: { ce_id: messageId, ce_type: 'parcels.sent', ce_eventversion: '2' },
        payload: Buffer.from(JSON.stringify({ parcelId })),
        ...given,
      };
    };
    /** As the consumer does. */
    const setAside = async (...messages: RejectedMessage[]): Promise<InboxDeadLetter[]> => {
      for (const each of messages) await app.get(InboxStore).setAside(each);
      return letters.list();
    };
    const consume = (instance: Instance, { headers, payload, topic, key }: RejectedMessage): Promise<void> =>
      instance
        .get(EventConsumer)
        .consume(undefined, new InMemoryContext([{ topic, key: key ?? '', headers, value: payload }]));
    const effects = async (): Promise<number[]> => {
      const tallies = await app.em.find(Tally, {}, { orderBy: { name: 'asc' } });
      return tallies.map((tally) => tally.count);
    };
    const parcelsOf = async (list: readonly InboxDeadLetter[]): Promise<number[]> => {
      const contents = await Promise.all(list.map(({ deadLetterId }) => letters.read(deadLetterId)));
      return contents.map(({ payload }) => (JSON.parse(String(payload)) as { parcelId: number }).parcelId);
    };

    beforeEach(async () => {
      Object.assign(behaviour, { broken: new Set(), handled: [], gone: [] });
      fixture = await openFixture({}, { providers: [CountParcels, WeighParcels] });
      app = fixture.first;
      letters = app.get(InboxDeadLetters);
      await app.em.nativeDelete(Tally, {});
      await app.em.insertMany(Tally, [
        { name: 'parcels', count: 0 },
        { name: 'weights', count: 0 },
      ]);
    });
    afterEach(async () => {
      jest.restoreAllMocks();
      await fixture.close();
    });

    it('are handled after the fix, with their effect once, and are gone', async () => {
      const before = await start(OldHandler);
      const given = message(7);
      await consume(before, given);
      const [letter, ...others] = await letters.list();
      expect(others).toEqual([]);
      expect(letter).toMatchObject({
        messageId: given.messageId,
        name: 'parcels.sent',
        topic: 'parcels',
        key: 'parcel-7',
        coordinates: 'memory parcels/parcel-7',
        reason: 'version 2 of parcels.sent is unknown, the class here has 1',
        attempts: 0,
        headers: given.headers,
        incompleteParts: [],
      });
      const { deadLetterId } = letter!;
      expect((await letters.read(deadLetterId)).payload).toEqual(given.payload);

      expect(await letters.retry({ deadLetterId })).toEqual({ handled: 1, failed: 0, failures: [] });
      expect([await effects(), behaviour.handled]).toEqual([[1, 1], [7]]);
      expect([await letters.list(), await letters.count()]).toEqual([[], 0]);
      await expect(letters.retry({ deadLetterId })).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
      await expect(letters.read(deadLetterId)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
      await consume(app, given);
      expect(await effects()).toEqual([1, 1]);
    });

    it('stay one letter when the message is rejected again', async () => {
      const before = await start(OldHandler);
      const [letter] = await setAside(message(7, { reason: 'older than that' }));
      const report = await before.get(InboxDeadLetters).retry({ deadLetterId: letter!.deadLetterId });
      const reason = 'version 2 of parcels.sent is unknown, the class here has 1';
      const { deadLetterId, messageId } = letter!;
      expect(report).toEqual({
        handled: 0,
        failed: 1,
        failures: [{ deadLetterId, messageId, name: 'parcels.sent', reason }],
      });
      expect(await letters.list()).toEqual([{ ...letter, reason }]);
    });

    it('stay with reason, stack and attempts of the last try when a handler fails again', async () => {
      behaviour.broken.add(7);
      const [letter] = await setAside(message(7, { attempts: 5 }));
      const { deadLetterId } = letter!;
      const report = await letters.retry({ deadLetterId });
      const reason = '1 handler(s) of parcels.sent failed: WeighParcels: the scales are broken for 7.';
      expect(report).toMatchObject({ handled: 0, failed: 1, failures: [{ deadLetterId, reason }] });
      expect(await letters.list()).toEqual([
        { ...letter, reason, attempts: 6, stack: expect.stringMatching(/^Error: the scales.*\n\s+at /) },
      ]);
      await letters.retry({ deadLetterId });
      expect(await letters.list()).toMatchObject([{ deadLetterId, attempts: 7 }]);
      behaviour.broken.clear();
      expect(await letters.retryAll()).toMatchObject({ handled: 1, failed: 0 });
      expect([await effects(), behaviour.handled]).toEqual([[1, 1], [7]]);
    });

    it('skip the handlers that have committed, however long ago', async () => {
      behaviour.broken.add(7);
      const given = message(7);
      await expect(consume(app, given)).rejects.toMatchObject({ code: 'EVENT_HANDLING' });
      await setAside(given);
      expect(await effects()).toEqual([1, 0]);
      await fixture.sql('update cqrs_inbox set received_at = 1');
      expect(await app.get(InboxStore).purge(1_000, 10)).toBe(0);
      behaviour.broken.clear();
      expect(await letters.retry({ messageId: given.messageId! })).toMatchObject({ handled: 1 });
      expect([await effects(), behaviour.handled]).toEqual([[1, 1], [7]]);
      await fixture.sql('update cqrs_inbox set received_at = 1');
      expect(await app.get(InboxStore).purge(1_000, 10)).toBe(2);
    });

    it('take effect once when they are retried several times at the same time', async () => {
      // Two processes with one SQLite file would fail for its lock, which has nothing to do with this.
      const other = name === 'libsql' ? app : await start(CountParcels, WeighParcels);
      await setAside(...[1, 2, 3, 4].map((parcelId) => message(parcelId)));
      const services = [letters, other.get(InboxDeadLetters), letters, other.get(InboxDeadLetters)];
      const reports = await Promise.all(services.map((service) => service.retry({ topic: 'parcels' })));
      expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
      expect(reports.reduce((sum, { handled }) => sum + handled, 0)).toBe(4);
      expect([await effects(), await letters.list()]).toEqual([[4, 4], []]);
    });

    it('are handled once when the letter could not be deleted after its handlers had committed', async () => {
      const [letter] = await setAside(message(7));
      const { deadLetterId } = letter!;
      const deleting = jest.spyOn(app.get(InboxStore), 'deleteSetAside');
      deleting.mockRejectedValueOnce(new Error('the database is away'));
      await expect(letters.retry({ deadLetterId })).rejects.toThrow('the database is away');
      expect(await letters.list()).toEqual([letter]);
      expect(await letters.retry({ deadLetterId })).toMatchObject({ handled: 1 });
      expect([await effects(), behaviour.handled, await letters.list()]).toEqual([[1, 1], [7], []]);
    });

    it('are retried oldest first, and one that fails holds back no other', async () => {
      behaviour.broken.add(2);
      // More than are read at a time.
      const ids = Array.from({ length: 205 }, (_, index) => index + 1);
      await setAside(...ids.map((parcelId) => message(parcelId)));
      const report = await letters.retry({ name: 'parcels.sent' });
      expect(behaviour.handled).toEqual(ids);
      expect(report).toMatchObject({ handled: 204, failed: 1, failures: [{ name: 'parcels.sent' }] });
      expect(await parcelsOf(await letters.list())).toEqual([2]);
    });

    it('are retried by what is selected, and no others', async () => {
      const named = { headers: { ce_id: 'other', ce_type: 'parcels.lost' }, name: 'parcels.lost' };
      await setAside(message(1), message(2), message(3, named), message(4, { topic: 'returns' }));
      expect(await letters.count({ name: 'parcels.sent' })).toBe(3);
      expect(await letters.retry({ key: 'parcel-2' })).toMatchObject({ handled: 1, failed: 0 });
      expect(await letters.retry({ topic: 'returns', name: 'parcels.sent' })).toMatchObject({ handled: 1 });
      expect(await letters.retry({ name: 'no such' })).toEqual({ handled: 0, failed: 0, failures: [] });
      expect(behaviour.handled).toEqual([2, 4]);
      expect(await parcelsOf(await letters.list())).toEqual([1, 3]);
    });

    it('stay when the application has no handler for them', async () => {
      const named = { ce_id: 'other', ce_type: 'parcels.lost' };
      const [first] = await setAside(message(1, { headers: named, name: 'parcels.lost' }));
      const bare = await fixture.start({ relay: { cron: NEVER }, events: [ParcelSent] });
      await setAside(message(2));
      const report = await bare.get(InboxDeadLetters).retryAll();
      const reason = 'no handler of its event is in this application';
      expect(report).toMatchObject({ handled: 0, failed: 2, failures: [{ reason }, { reason }] });
      expect(await letters.list()).toMatchObject([{ ...first, reason }, { reason }]);
    });

    it('hand on a tombstone with its key', async () => {
      await setAside(message(7, { payload: null }));
      expect(await letters.retryAll()).toMatchObject({ handled: 1 });
      expect(behaviour.gone).toEqual(['parcels/parcel-7']);
    });

    it.each([
      ['payload', { payload: Buffer.alloc(4 * 1024 * 1024 + 1, ' ') }],
      ['headers', { headers: { ...message(7).headers, 'x-large': 'x'.repeat(70_000) } }],
      ['key', { key: 'k'.repeat(192) }],
    ])('can not be retried when they were cut as they were stored: the %s', async (part, given) => {
      const [letter, other] = await setAside(message(7, given), message(8));
      const { deadLetterId } = letter!;
      expect(letter!.incompleteParts).toEqual([part]);
      await expect(letters.retry({ deadLetterId })).rejects.toMatchObject({
        code: 'DEAD_LETTER_INCOMPLETE',
        message: expect.stringContaining(`not kept as it came (${part})`) as unknown,
      });
      const report = await letters.retry({ name: 'parcels.sent' });
      expect(report).toMatchObject({ handled: 1, failed: 1, failures: [{ deadLetterId }] });
      expect(behaviour.handled).toEqual([8]);
      expect([await letters.list(), other!.incompleteParts]).toEqual([[letter], []]);
      expect(await letters.discard({ deadLetterId })).toBe(1);
    });

    it('are not retried inside a transaction, which could take back what their handlers did', async () => {
      await setAside(message(7));
      const inside = <T>(work: () => Promise<T>) => app.get(UnitOfWork).runInTransaction(work);
      const refused = { code: 'DEAD_LETTER_IN_TRANSACTION' };
      await expect(inside(() => letters.retryAll())).rejects.toMatchObject(refused);
      await expect(inside(() => letters.retry({ key: 'parcel-7' }))).rejects.toMatchObject(refused);
      expect([behaviour.handled, await letters.count()]).toEqual([[], 1]);
    });

    it('are discarded by what is selected, and never all by accident', async () => {
      await setAside(...[1, 2, 3].map((parcelId) => message(parcelId)), message(4, { topic: 'returns' }));
      const wrong = [{}, { name: undefined }, { key: null }, { destination: 'default' }, { upTo: '9' }];
      for (const selection of [...wrong, { deadLetterId: '1 or 1=1' }]) {
        const refused = { code: 'DEAD_LETTER_SELECTION' };
        await expect(letters.discard(selection as never)).rejects.toMatchObject(refused);
        await expect(letters.retry(selection as never)).rejects.toMatchObject(refused);
      }
      expect(await letters.count()).toBe(4);
      expect(await letters.discard({ topic: 'parcels', key: 'parcel-2' })).toBe(1);
      expect(await parcelsOf(await letters.list())).toEqual([1, 3, 4]);
      expect(await letters.discard({ name: 'parcels.sent' })).toBe(3);
      expect(await letters.discard({ name: 'parcels.sent' })).toBe(0);
      const missing = letters.discard({ messageId: 'gone' });
      await expect(missing).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
      expect(behaviour.handled).toEqual([]);
    });

    it('are listed page by page, the oldest or the newest first', async () => {
      await setAside(...[1, 2, 3].map((parcelId) => message(parcelId)));
      const [first, second] = await letters.list();
      expect(await parcelsOf(await letters.list({ limit: 2 }))).toEqual([1, 2]);
      expect(await parcelsOf(await letters.list({ after: second!.deadLetterId }))).toEqual([3]);
      const newest = { order: 'newest first', limit: 2 } as const;
      expect(await parcelsOf(await letters.list(newest))).toEqual([3, 2]);
      expect(await parcelsOf(await letters.list({ ...newest, after: second!.deadLetterId }))).toEqual([1]);
      expect(await letters.list({ key: 'parcel-1', topic: 'parcels' })).toEqual([first]);
      const wrong = [{ limit: 0 }, { limit: 1_001 }, { after: 'x' }, { order: 'any' }, { name: null }];
      for (const page of wrong) {
        await expect(letters.list(page as never)).rejects.toMatchObject({ code: 'DEAD_LETTER_SELECTION' });
      }
    });
  });
}
