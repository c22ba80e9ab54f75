import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  DeadLetters,
  EventConsumer,
  EventHandler,
  InMemoryTransport,
  NonRetryableError,
  type CqrsOutboxOptions,
  type DeadLetter,
  type HandlesEvent,
  type PublishResult,
} from '@cqrs-outbox/core';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { DOWN, REFUSED } from '../support/scripted-transport.ts';
import {
  StockArchived,
  StockAudited,
  StockBlocked,
  StockClosed,
  StockCounted,
  StockMoved,
} from './events.ts';
import { NEVER, outboxFixtures, type OutboxFixture, QUICK, type Instance } from './outbox-fixture.ts';

/** What the handler below throws. */
const failure = { next: undefined as Error | undefined };

@EventHandler(StockMoved)
class OnMoved implements HandlesEvent<StockMoved> {
  async handle(): Promise<void> {
    if (failure.next) throw failure.next;
  }
}

@Controller()
class StockController {
  constructor(private readonly consumer: EventConsumer) {}

  @EventPattern('stock')
  receive(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
    return this.consumer.consume(payload, context);
  }
}

const HOPELESS: PublishResult = { status: 'refused', error: new Error('never'), permanent: true };
const PUBLISHED: PublishResult = { status: 'published' };

const moved = (item: string, ...steps: number[]) => steps.map((step) => StockMoved.of({ item, step }));
const counted = (item: string, ...steps: number[]) => steps.map((step) => StockCounted.of({ item, step }));
const closed = (item: string, ...steps: number[]) => steps.map((step) => StockClosed.of({ item, step }));

for (const { name, needs } of DATABASES) {
  describeWith(needs, `dead letters on ${name}`, () => {
    const openFixture = outboxFixtures(name);
    let fixture: OutboxFixture;
    let app: Instance;
    let letters: DeadLetters;

    const open = async (options: Partial<CqrsOutboxOptions> = {}): Promise<void> => {
      fixture = await openFixture(options);
      use(fixture.first);
    };
    const use = (instance: Instance): void => {
      app = instance;
      letters = app.get(DeadLetters);
    };
    /** Refuses these steps for good, and takes the rest. */
    const giveUp = (...steps: number[]): void => {
      fixture.transport.decide = (_, step) => (steps.includes(step) ? HOPELESS : PUBLISHED);
    };
    const takeAll = (): void => {
      fixture.transport.decide = () => PUBLISHED;
    };
    const steps = (list: readonly DeadLetter[]): unknown[] =>
      list.map(({ payload }) => (JSON.parse(String(payload)) as { step: number }).step);
    const only = async (): Promise<DeadLetter> => {
      const [letter, ...others] = await letters.list();
      expect(others).toEqual([]);
      if (!letter) throw new Error('There is no dead letter.');
      return letter;
    };

    beforeEach(() => open());
    afterEach(() => fixture.close());

    it('keeps an entry that was refused to the last attempt, with its reason, its stack and each attempt', async () => {
      const running = await fixture.start({ relay: QUICK });
      let attempt = 0;
      fixture.transport.decide = () => ({ status: 'refused', error: new Error(`no ${++attempt}`) });
      await running.append(moved('a', 1), { headers: { tenant: 'acme' } });
      await eventually(async () => expect(await letters.list()).toHaveLength(1));
      const letter = await only();
      expect(letter).toMatchObject({
        name: 'stock.moved',
        topic: 'stock',
        key: 'a',
        destination: 'default',
        source: 'tests',
        headers: { tenant: 'acme' },
        attempts: 3,
        error: 'no 3',
        isParking: false,
        deadLetterPolicy: 'continue',
      });
      expect(JSON.parse(String(letter.payload))).toEqual({ item: 'a', step: 1 });
      expect(letter.stack).toMatch(/^Error: no 3\n\s+at .*dead-letters\.spec/);
      expect(letter.history.map(({ error }) => error)).toEqual(['no 1', 'no 2', 'no 3']);
      const times = [...letter.history.map(({ at }) => at.getTime()), letter.failedAt.getTime()];
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(Math.abs(Date.now() - letter.failedAt.getTime())).toBeLessThan(20_000);
      expect([await fixture.count('cqrs_outbox'), await fixture.count('cqrs_outbox_retry')]).toEqual([0, 0]);
    });

    it('remembers the last twenty of many attempts', async () => {
      const running = await fixture.start({ relay: { ...QUICK, maxAttempts: 25 } });
      let attempt = 0;
      fixture.transport.decide = () => ({ status: 'refused', error: `no ${++attempt}` });
      await running.append(moved('a', 1));
      await eventually(async () => expect(await letters.list()).toHaveLength(1));
      const { attempts, history, stack } = await only();
      expect(attempts).toBe(25);
      expect(history.map(({ error }) => error)).toEqual(Array.from({ length: 20 }, (_, i) => `no ${i + 6}`));
      expect(stack).toBeUndefined();
    });

    it('is listed page by page in the order of giving up, as far as it is asked for', async () => {
      fixture.transport.decide = () => HOPELESS;
      fixture.audit.decide = () => HOPELESS;
      // Each pass gives up one of each key, in the order of the slots.
      await app.append([...moved('a', 1), ...counted('a', 2)]);
      await app.relay.runOnce();
      await app.append([...moved('b', 3), StockArchived.of({ item: 'a', step: 4 })]);
      await app.relay.runOnce();
      const all = await letters.list();
      expect(steps(all).toSorted()).toEqual([1, 2, 3, 4]);
      expect(steps(all.slice(0, 2))).toEqual([1, 2]);
      const [first, second, ...rest] = all;
      expect(await letters.list({ limit: 2 })).toEqual([first, second]);
      expect(await letters.list({ limit: 2, after: second?.deadLetterId ?? '' })).toEqual(rest);
      expect(await letters.list({ after: undefined })).toEqual(all);
      expect(await letters.list({ after: rest.at(-1)?.deadLetterId ?? '' })).toEqual([]);
      expect(steps(await letters.list({ key: 'a', destination: 'default' }))).toEqual([1, 2]);
      expect(steps(await letters.list({ name: 'stock.moved' }))).toEqual([1, 3]);
      expect(steps(await letters.list({ destination: 'audit' }))).toEqual([4]);
      expect(steps(await letters.list({ messageId: first?.id ?? '' }))).toEqual([1]);
      expect(await letters.list({ key: 'A' })).toEqual([]);
    });

    it('is requeued by its message id, with that same id at the broker and attempts from 0', async () => {
      const running = await fixture.start({ relay: QUICK });
      fixture.transport.decide = () => REFUSED;
      await running.append(moved('a', 1));
      await eventually(async () => expect(await letters.list()).toHaveLength(1));
      const before = await only();
      await expect(letters.requeue({ messageId: before.id })).resolves.toBe(1);
      // It is tried as often as a new one.
      await eventually(async () => {
        await running.relay.runOnce();
        expect((await only()).deadLetterId).not.toBe(before.deadLetterId);
      });
      const again = await only();
      expect(again).toMatchObject({ id: before.id, attempts: 3 });
      expect(again.history).toHaveLength(3);
      takeAll();
      await running.get(DeadLetters).requeue({ messageId: before.id });
      await eventually(() => expect(fixture.transport.idsOf('a')).toEqual([before.id]));
      await eventually(async () => expect(await fixture.count('cqrs_outbox')).toBe(0));
      expect(await letters.list()).toEqual([]);
    });

    it('is requeued into its old place: before what waits of its key, and behind what was given up before', async () => {
      giveUp(1, 2);
      await app.append(moved('a', 1, 2, 3));
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([3]);
      await app.append(moved('a', 4, 5));
      takeAll();
      // One after the other, the later one first.
      const [first, second] = await letters.list();
      await letters.requeue({ messageId: second?.id ?? '' });
      await letters.requeue({ messageId: first?.id ?? '' });
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([3, 1, 2, 4, 5]);
    });

    it('is requeued with all of a key, of a name, of a destination, or with all there are', async () => {
      fixture.transport.decide = () => HOPELESS;
      fixture.audit.decide = () => HOPELESS;
      const give = async (): Promise<void> => {
        await app.append([
          ...moved('a', 1),
          ...counted('a', 2),
          ...moved('b', 3),
          ...counted('b', 4),
          StockArchived.of({ item: 'b', step: 5 }),
        ]);
        await app.relay.runOnce();
        expect(await letters.list()).toHaveLength(5);
      };
      await give();
      await expect(letters.requeue({ key: 'a' })).resolves.toBe(2);
      expect(steps(await letters.list()).toSorted()).toEqual([3, 4, 5]);
      await expect(letters.requeue({ name: 'stock.moved' })).resolves.toBe(1);
      expect(steps(await letters.list()).toSorted()).toEqual([4, 5]);
      await expect(letters.requeue({ destination: 'audit' })).resolves.toBe(1);
      expect(steps(await letters.list())).toEqual([4]);
      await expect(letters.requeue({ key: 'b', name: 'stock.moved' })).resolves.toBe(0);
      await expect(letters.requeueAll()).resolves.toBe(1);
      await expect(letters.requeueAll()).resolves.toBe(0);
      fixture.transport.decide = fixture.audit.decide = () => PUBLISHED;
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([1, 2]);
      expect(fixture.transport.stepsOf('b')).toEqual([3, 4]);
      expect(fixture.audit.stepsOf('b')).toEqual([5]);
    });

    it('is requeued by the thousand, in order', async () => {
      const all = Array.from({ length: 1_100 }, (_, step) => step);
      await app.append(moved('a', ...all));
      // Given up one by one they would take as long as the rest of the suite.
      const columns = `message_id, destination, topic, message_key, name, version, source, occurred_at, correlation_id,
        causation_id, content_type, headers, payload, dead_letter_policy`;
      await fixture.sql(`insert into cqrs_outbox_dead_letter (${columns}, position, attempts, last_error, failed_at)
        select ${columns}, id, 10, 'refused', 0 from cqrs_outbox order by id`);
      await fixture.sql('delete from cqrs_outbox');
      await expect(letters.requeue({ key: 'a' })).resolves.toBe(1_100);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual(all);
    });

    it('is requeued once: a second time there is none, and no second copy', async () => {
      giveUp(1);
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      const { id: messageId } = await only();
      const outcomes = await Promise.allSettled([
        letters.requeue({ messageId }),
        letters.requeue({ messageId }),
      ]);
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      await expect(letters.requeue({ messageId })).rejects.toMatchObject({
        code: 'DEAD_LETTER_NOT_FOUND',
        message: expect.stringContaining(messageId) as unknown,
      });
      expect(await fixture.count('cqrs_outbox')).toBe(1);
      takeAll();
      await app.relay.runOnce();
      await expect(letters.requeue({ messageId })).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
      await expect(letters.discard({ messageId })).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
      await app.relay.runOnce();
      expect(fixture.transport.idsOf('a')).toEqual([messageId]);
    });

    it('is gone when it was discarded, alone', async () => {
      giveUp(1, 2);
      await app.append(moved('a', 1, 2));
      await app.relay.runOnce();
      const [first, second] = await letters.list();
      await expect(letters.discard({ messageId: first?.id ?? '' })).resolves.toBe(1);
      expect(await letters.list()).toEqual([second]);
      await expect(letters.discard({ messageId: first?.id ?? '' })).rejects.toMatchObject({
        code: 'DEAD_LETTER_NOT_FOUND',
      });
      takeAll();
      await letters.requeueAll();
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([2]);
    });

    it('is of one destination, and does not concern the entry for another', async () => {
      fixture.audit.decide = () => HOPELESS;
      await app.append([StockAudited.of({ item: 'a', step: 1 })]);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([1]);
      const { id, destination } = await only();
      expect(destination).toBe('audit');
      fixture.audit.decide = () => PUBLISHED;
      await letters.requeue({ messageId: id });
      await app.relay.runOnce();
      expect([fixture.transport.idsOf('a'), fixture.audit.idsOf('a')]).toEqual([[id], [id]]);
    });

    it('holds its key back with the policy park, over a restart, until it is requeued', async () => {
      giveUp(2);
      await app.append([...moved('a', 1), ...closed('a', 2), ...moved('a', 3), ...moved('b', 1)]);
      await app.relay.runOnce();
      expect(await only()).toMatchObject({ isParking: true, deadLetterPolicy: 'park', attempts: 1 });
      takeAll();
      const other = await fixture.restart({ relay: { cron: NEVER } });
      use(other);
      await app.append([...moved('a', 4), ...moved('b', 2)]);
      await eventually(() => expect(fixture.transport.stepsOf('b')).toEqual([1, 2]));
      await app.relay.runOnce();
      await fixture.makeRetriesDue();
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([1]);
      await letters.requeue({ key: 'a' });
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([1, 2, 3, 4]));
    });

    it('lets its key go on without it when it is discarded, at once', async () => {
      giveUp(1);
      const running = await fixture.start({ relay: { cron: NEVER } });
      await running.append([...closed('a', 1), ...moved('a', 2)]);
      await eventually(async () => expect(await letters.list()).toHaveLength(1));
      await running.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([]);
      await running.get(DeadLetters).discard({ key: 'a' });
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([2]));
      expect(await letters.list()).toEqual([]);
    });

    it('parks its key at its own destination alone', async () => {
      giveUp(1);
      await app.append([1, 2].map((step) => StockBlocked.of({ item: 'a', step })));
      await app.relay.runOnce();
      expect([fixture.transport.stepsOf('a'), fixture.audit.stepsOf('a')]).toEqual([[], [1, 2]]);
    });

    it('is one at a time with the policy park: the next of the key comes to its turn when it is discarded', async () => {
      giveUp(1, 2);
      await app.append(closed('a', 1, 2, 3));
      await app.relay.runOnce();
      expect(steps(await letters.list())).toEqual([1]);
      await letters.discard({ key: 'a' });
      await app.relay.runOnce();
      expect(steps(await letters.list())).toEqual([2]);
      takeAll();
      await letters.requeue({ key: 'a' });
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([2, 3]);
    });

    it('is not made yet when only one of several failures is a NonRetryableError: the others may succeed', async () => {
      const error = new AggregateError([new Error('a'), new NonRetryableError('b')], 'both');
      fixture.transport.decide = () => ({ status: 'refused', error });
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      expect(await letters.list()).toEqual([]);
      expect(await fixture.count('cqrs_outbox_retry')).toBe(1);
    });

    it.each<[string, unknown]>([
      ['itself', new NonRetryableError('no such topic')],
      [
        'a cause',
        new Error('no such topic', { cause: new Error('why', { cause: new NonRetryableError('!') }) }),
      ],
      [
        'all of several',
        new AggregateError([new NonRetryableError('a'), new NonRetryableError('b')], 'no such topic'),
      ],
    ])('is made at once of an entry that is refused with a NonRetryableError: %s', async (_, error) => {
      fixture.transport.decide = () => ({ status: 'refused', error });
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      expect(await only()).toMatchObject({ attempts: 1, error: 'no such topic' });
      expect((await only()).history).toHaveLength(1);
    });

    it('is made at once when a handler behind the in-memory transport throws a NonRetryableError', async () => {
      const transport = new InMemoryTransport();
      const servers = [{ strategy: transport.createServer() }];
      await fixture.close();
      failure.next = new Error('try again');
      fixture = await openFixture(
        { transport: { default: transport, audit: transport } },
        { servers, providers: [OnMoved], controllers: [StockController] },
      );
      use(fixture.first);
      await app.append(moved('a', 1));
      await expect(app.relay.runOnce()).resolves.toMatchObject({ default: { refused: 1, deadLettered: 0 } });
      failure.next = new NonRetryableError('no such item');
      await fixture.makeRetriesDue();
      await expect(app.relay.runOnce()).resolves.toMatchObject({ default: { refused: 0, deadLettered: 1 } });
      const letter = await only();
      expect(letter.attempts).toBe(2);
      expect(letter.history.map(({ error }) => error)).toEqual([
        expect.stringContaining('try again'),
        expect.stringContaining('no such item'),
      ]);
    });

    it('is not made of an outage, whatever its error', async () => {
      fixture.transport.decide = () => ({ status: 'unavailable', error: new NonRetryableError('away') });
      await app.append(moved('a', 1));
      await expect(app.relay.runOnce()).rejects.toThrow('away');
      expect(await letters.list()).toEqual([]);
      expect(await fixture.count('cqrs_outbox')).toBe(1);
    });

    it('is made at once of what the destination refuses for good, and the key goes on', async () => {
      giveUp(2);
      await app.append(moved('a', 1, 2, 3));
      await expect(app.relay.runOnce()).resolves.toMatchObject({
        default: { published: 2, refused: 0, deadLettered: 1 },
      });
      expect(fixture.transport.stepsOf('a')).toEqual([1, 3]);
      expect(await only()).toMatchObject({ attempts: 1, error: 'never' });
    });

    it("is made of a row that can't be read, with the reason, and the rest goes on", async () => {
      await app.append([...moved('a', 1, 2, 3), ...moved('b', 1)]);
      const rows = await fixture.sql<{ id: string; message_id: string }>(
        'select id, message_id from cqrs_outbox order by id',
      );
      await fixture.sql('update cqrs_outbox set headers = ? where id = ?', ['{"a": 1', rows[1]?.id]);
      await app.relay.runOnce();
      expect(fixture.transport.stepsOf('a')).toEqual([1, 3]);
      expect(fixture.transport.stepsOf('b')).toEqual([1]);
      const letter = await only();
      expect(letter).toMatchObject({ id: rows[1]?.message_id, key: 'a', attempts: 1, headers: {} });
      expect(letter.error).toMatch(/can't be read.*headers/);
      // As long as it is broken, requeueing leads back here, without a loop.
      await letters.requeue({ messageId: letter.id });
      await app.relay.runOnce();
      expect(await only()).toMatchObject({ id: letter.id, error: letter.error });
      await fixture.sql("update cqrs_outbox_dead_letter set headers = '{}'");
      await letters.requeue({ messageId: letter.id });
      await app.relay.runOnce();
      expect(fixture.transport.idsOf('a').at(-1)).toBe(letter.id);
      expect(fixture.transport.given).not.toContain(4);
    });

    it('is not selected by a condition that is missing, undefined or unknown', async () => {
      giveUp(1);
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      const nothing = [
        {},
        { key: undefined },
        { messageId: undefined, key: 'a' },
        { messageId: null },
        { key: 7 },
        { id: '7' },
        { limit: 1 },
      ];
      for (const selection of nothing as object[]) {
        const refused = { code: 'DEAD_LETTER_SELECTION' };
        await expect(letters.requeue(selection)).rejects.toMatchObject(refused);
        await expect(letters.discard(selection)).rejects.toMatchObject(refused);
      }
      const pages = [
        { limit: 0 },
        { limit: 1_001 },
        { limit: 1.5 },
        { key: undefined },
        { key: null },
        { from: 1 },
      ];
      for (const page of [...pages, { after: 'x' }, { after: '' }, { after: 7 }, { after: '1e3' }]) {
        await expect(letters.list(page as never)).rejects.toMatchObject({ code: 'DEAD_LETTER_SELECTION' });
      }
      await expect(letters.requeue({ key: 'nobody' })).resolves.toBe(0);
      expect(await letters.list({ limit: 1_000 })).toHaveLength(1);
    });

    it('counts on after a takeover: the key waits for the same retry, and attempts and history go on', async () => {
      const relay = { ...QUICK, minBackoffMs: 3_600_000, maxBackoffMs: 3_600_000 };
      let attempt = 0;
      fixture.transport.decide = (_, step) =>
        step === 1 ? { status: 'refused', error: new Error(`no ${++attempt}`) } : PUBLISHED;
      const running = await fixture.start({ relay });
      await running.append(moved('a', 1, 2));
      await eventually(async () => expect(await fixture.count('cqrs_outbox_retry')).toBe(1));
      // The jitter may have chosen a short wait.
      await fixture.sql('update cqrs_outbox_retry set retry_at = retry_at + 3600000');
      await fixture.stop(running);
      const successor = await fixture.start({ relay });
      await successor.append(moved('b', 7));
      await eventually(() => expect(fixture.transport.stepsOf('b')).toEqual([7]));
      await successor.relay.runOnce();
      expect([attempt, fixture.transport.stepsOf('a')]).toEqual([1, []]);
      for (const expected of [2, 3]) {
        await fixture.makeRetriesDue();
        await eventually(async () => {
          await successor.relay.runOnce();
          expect(attempt).toBe(expected);
        });
      }
      await eventually(() => expect(fixture.transport.stepsOf('a')).toEqual([2]));
      const letter = await only();
      expect(letter.attempts).toBe(3);
      expect(letter.history.map(({ error }) => error)).toEqual(['no 1', 'no 2', 'no 3']);
    });

    it('keeps what is requeued while its destination is down', async () => {
      giveUp(1);
      await app.append(moved('a', 1));
      await app.relay.runOnce();
      fixture.transport.decide = () => DOWN;
      await letters.requeueAll();
      await expect(app.relay.runOnce()).rejects.toThrow('broker is away');
      expect([await fixture.count('cqrs_outbox'), await letters.list()]).toEqual([1, []]);
    });
  });
}
