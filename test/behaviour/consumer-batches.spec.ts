import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  DomainEvent,
  EventHandler,
  EventMediator,
  Outbox,
  type ConsumerOptions,
  type HandlesEvent,
  type MessageContext,
} from '@cqrs-outbox/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES, END_OWN_CONNECTION } from '../support/database.ts';
import { OrderPaid, Tally } from '../support/orders.ts';
import { kindOf } from '../support/statement-kind.ts';
import {
  CratePacked,
  crateHeaders,
  createCrateApp,
  onKafka,
  PAYLOAD,
  QUICK,
  type CrateApp,
} from './consumer-fixture.ts';

class CrateNoted extends DomainEvent {
  crateId!: number;
}

/** What was heard after the commit, with the correlation that it was heard in. */
class Notes {
  readonly heard: { crateId: number; correlationId: string }[] = [];
  failures = 0;
}

@EventHandler(CrateNoted, { phase: 'after-commit' })
class HearsNotes implements HandlesEvent<CrateNoted> {
  constructor(private readonly notes: Notes) {}

  async handle({ crateId }: CrateNoted, { correlationId }: MessageContext): Promise<void> {
    this.notes.heard.push({ crateId, correlationId });
  }
}

/** A second handler of the same event, which causes more. */
@EventHandler(CratePacked)
class NotesCrates implements HandlesEvent<CratePacked> {
  constructor(
    private readonly outbox: Outbox,
    private readonly mediator: EventMediator,
    private readonly notes: Notes,
  ) {}

  async handle({ crateId }: CratePacked): Promise<void> {
    this.outbox.append(OrderPaid.of({ orderId: crateId, step: 1 }));
    await this.mediator.send(CrateNoted.of({ crateId }));
    if (crateId === 2 && this.notes.failures-- > 0) throw new Error('no note today');
  }
}

/** One transaction at a time: the handler reads, and then writes what it has counted. */
const TOGETHER: ConsumerOptions = { ...QUICK, batch: { maxMessages: 50, maxTransactions: 1 } };

/** Of each message, the inbox row aside. */
const EACH = ['select tally', 'update tally'];
/** BEGIN goes with the inbox row of the first message; those of the others are inserted together. */
const FIRST = ['begin, insert cqrs_inbox', ...EACH];

for (const { name, needs } of DATABASES) {
  describeWith(needs, `handlers of several messages in one transaction, on ${name}`, () => {
    let app: CrateApp;
    let notes: Notes;

    const start = async (consumer: ConsumerOptions = TOGETHER, withNotes = false): Promise<void> => {
      notes = new Notes();
      const providers = [
        { provide: Notes, useValue: notes },
        ...(withNotes ? [NotesCrates, HearsNotes] : []),
      ];
      app = await createCrateApp({ database: name }, { consumer }, providers);
      app.app.get(Notes);
    };
    const consume = (crateId: number, headers = crateHeaders()): Promise<void> =>
      app.consumer.consume(PAYLOAD, onKafka(headers, undefined, { crateId }));
    const rows = (sql: string): Promise<Record<string, unknown>[]> =>
      app.orm.em.fork().getConnection().execute(sql);
    const inboxRows = async (): Promise<number> => (await rows('select * from cqrs_inbox')).length;

    beforeEach(() => start());
    afterEach(() => app.close());

    if (name !== 'libsql') {
      it('are committed once for all', async () => {
        const counter = await StatementCounter.attach(app.orm);
        await consume(4);
        counter.take();
        await Promise.all([1, 2, 3].map((id) => consume(id)));
        const rest = ['insert cqrs_inbox', ...EACH, ...EACH, 'commit'];
        expect(counter.take().map(kindOf)).toEqual([...FIRST, ...rest]);
        expect(await app.crates()).toBe(4);
      });

      it('go on in the next batch, which is begun at the end of this one', async () => {
        await app.close();
        await start({ ...QUICK, batch: { maxMessages: 2, maxTransactions: 1 } });
        const counter = await StatementCounter.attach(app.orm);
        await consume(6);
        counter.take();
        await Promise.all([1, 2, 3, 4, 5].map((id) => consume(id)));
        const full = [...FIRST, 'insert cqrs_inbox', ...EACH, 'commit'];
        expect(counter.take().map(kindOf)).toEqual([...full, ...full, ...FIRST, 'commit']);
      });
    }

    it('have a context each, and what they leave unwritten is written', async () => {
      const seen: Tally[] = [];
      app.behaviour.onCall = async (_, em) => {
        const tally = await em.findOneOrFail(Tally, { name: 'crates' });
        seen.push(tally);
        tally.count += 10;
      };
      await Promise.all([1, 2, 3].map((id) => consume(id)));
      expect(new Set(seen).size).toBe(3);
      expect(await app.crates()).toBe(33);
    });

    it('take effect once beside one that fails, which alone becomes a dead letter', async () => {
      const alone = new Map<number, number>();
      app.behaviour.onCall = async (_call, _em, { crateId }) => {
        alone.set(crateId, (alone.get(crateId) ?? 0) + 1);
        if (crateId === 3) throw new Error('not this one');
      };
      await Promise.all([1, 2, 3, 4, 5].map((id) => consume(id)));
      expect(await app.crates()).toBe(4);
      expect(await inboxRows()).toBe(4);
      const letters = await app.letters();
      expect(letters.map(({ attempts, reason }) => [attempts, reason])).toEqual([
        [3, expect.stringContaining('not this one')],
      ]);
      // Once in the batch, and then as often as it may fail.
      expect(alone.get(3)).toBe(4);
      expect(alone.get(1)).toBe(2);
      expect(app.consumer.counts).toMatchObject({ handled: 4, failedAttempts: 3, deadLettered: 1 });
    });

    it('are rolled back by what fails at the end of one, when its changes are written', async () => {
      app.behaviour.onCall = async (_, em, { crateId }) => {
        if (crateId === 2) em.create(Tally, { name: 'taken', count: 0 }, { persist: true });
      };
      await app.orm.em.fork().insertMany(Tally, [{ name: 'taken', count: 0 }]);
      await Promise.all([1, 2, 3].map((id) => consume(id)));
      expect(await app.crates()).toBe(2);
      expect((await app.letters()).map(({ attempts }) => attempts)).toEqual([3]);
    });

    it('skip a duplicate in the same transaction, and one of before', async () => {
      const [twice, before] = [crateHeaders(), crateHeaders()];
      await consume(1, before);
      await Promise.all([consume(2), consume(3, twice), consume(1, before), consume(3, twice), consume(4)]);
      expect(await app.crates()).toBe(4);
      expect(app.behaviour.calls).toBe(4);
      expect(app.consumer.counts).toMatchObject({ handled: 4, duplicates: 2, failedAttempts: 0 });
    });

    it('survive one that does not come to an end, and what that does later has no effect', async () => {
      await app.close();
      await start({ ...TOGETHER, maxAttempts: 1, handlerTimeoutMs: 300 });
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      const late: Promise<unknown>[] = [];
      app.behaviour.onCall = async (_, em, { crateId }) => {
        if (crateId !== 2) return;
        const work = released.then(() => em.nativeUpdate(Tally, { name: 'crates' }, { count: 1_000 }));
        late.push(work.catch((error: unknown) => error));
        await work;
      };
      await Promise.all([1, 2, 3].map((id) => consume(id)));
      release();
      expect(await Promise.all(late)).toEqual([expect.any(Error), expect.any(Error)]);
      expect(await app.crates()).toBe(2);
      expect((await app.letters()).map(({ reason }) => reason)).toEqual([expect.stringContaining('300 ms')]);
    });

    it('leave nothing running that takes part in the next one', async () => {
      const late: Promise<unknown>[] = [];
      app.behaviour.onCall = async (_, em, { crateId }) => {
        const later = new Promise((resolve) => setTimeout(resolve, 30));
        // The others are handled, in the same transaction, when it goes on.
        if (crateId !== 1) {
          await later;
          return;
        }
        const work = later.then(() => em.nativeUpdate(Tally, { name: 'crates' }, { count: 1_000 }));
        late.push(work.catch((error: unknown) => error));
      };
      await Promise.all([1, 2, 3].map((id) => consume(id)));
      expect(await Promise.all(late)).toEqual([expect.any(Error)]);
      expect(await app.crates()).toBe(3);
    });

    it('keep apart what each causes: its correlation, before and after the commit, and the order', async () => {
      await app.close();
      await start(TOGETHER, true);
      const ids = [1, 2, 3, 4];
      const correlations = new Map(ids.map((id) => [id, randomUUID()]));
      await Promise.all(
        ids.map((id) => consume(id, crateHeaders({ ce_correlationid: correlations.get(id)! }))),
      );
      const expected = ids.map((id) => correlations.get(id));
      const sent = await rows('select correlation_id from cqrs_outbox order by id');
      expect(sent.map(({ correlation_id: id }) => id)).toEqual(expected);
      expect(notes.heard).toEqual(ids.map((id) => ({ crateId: id, correlationId: correlations.get(id) })));
    });

    it('repeat the handler that failed and no other, and what it had caused is not there twice', async () => {
      await app.close();
      await start(TOGETHER, true);
      notes.failures = 1;
      await Promise.all([1, 2, 3].map((id) => consume(id)));
      expect(await app.crates()).toBe(3);
      expect(await inboxRows()).toBe(6);
      expect(await rows('select * from cqrs_outbox')).toHaveLength(3);
      expect(notes.heard.map(({ crateId }) => crateId).sort()).toEqual([1, 2, 3]);
      // The one failure was that of the batch.
      expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts: 0 });
    });

    // On PostgreSQL Kysely does not give a connection back whose ROLLBACK fails, and the pool waits for it at the end.
    if (name === 'mariadb') {
      it('are done once when the connection is lost in the middle', async () => {
        let kills = 1;
        app.behaviour.onCall = async (_, em, { crateId }) => {
          if (crateId === 3 && kills-- > 0)
            await (em as SqlEntityManager).execute(END_OWN_CONNECTION.mariadb);
        };
        await Promise.all([1, 2, 3, 4, 5].map((id) => consume(id)));
        expect(await app.crates()).toBe(5);
        expect(await inboxRows()).toBe(5);
        expect(await app.letters()).toEqual([]);
      });
    }
  });
}
