import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  DomainEvent,
  EventHandler,
  EventMediator,
  RequestMediator,
  type ConsumerOptions,
  type HandlesEvent,
  type RequestHandler,
} from '@cqrs-outbox/core';
import { EntityManager, wrap } from '@mikro-orm/core';
import { describeWith } from '../services/describe-with.ts';
import { DATABASES } from '../support/database.ts';
import { Tally } from '../support/orders.ts';
import { CratePacked, createCrateApp, onKafka, PAYLOAD, QUICK, type CrateApp } from './consumer-fixture.ts';

/** Carries an entity, whose rows its handlers load again by it. */
class CrateCounted extends DomainEvent {
  tally!: Tally;
}

/** The count that each handler has read, in the order in which they ran. */
class Reads {
  readonly counts: string[] = [];

  async read(phase: string, { tally }: CrateCounted): Promise<void> {
    const { count } = (await wrap(tally).init({ refresh: true })) ?? {};
    this.counts.push(`${phase} ${count}`);
  }
}

@EventHandler(CrateCounted)
class ReadsBeforeCommit implements HandlesEvent<CrateCounted> {
  constructor(private readonly reads: Reads) {}

  handle(event: CrateCounted): Promise<void> {
    return this.reads.read('before', event);
  }
}

@EventHandler(CrateCounted, { phase: 'after-commit' })
class ReadsAfterCommit implements HandlesEvent<CrateCounted> {
  constructor(private readonly reads: Reads) {}

  handle(event: CrateCounted): Promise<void> {
    return this.reads.read('after', event);
  }
}

class PackCrate extends Command<number> {}

/** Has changed what the handler of its event changes too, and has not written it. */
@CommandHandler(PackCrate)
class PackCrateHandler implements RequestHandler<PackCrate> {
  constructor(
    private readonly em: EntityManager,
    private readonly events: EventMediator,
  ) {}

  async execute(): Promise<number> {
    const tally = await this.em.findOneOrFail(Tally, { name: 'crates' });
    tally.count = 5;
    await this.events.send(CratePacked.of(PAYLOAD));
    return tally.count;
  }
}

const MODES: Record<string, ConsumerOptions> = {
  'of its own': QUICK,
  'that others share': { ...QUICK, batch: { maxMessages: 50, maxTransactions: 1 } },
};

for (const { name, needs } of DATABASES) {
  describeWith(needs, `the persistence context of an event handler, on ${name}`, () => {
    let app: CrateApp;
    let reads: Reads;

    const start = async (consumer: ConsumerOptions = QUICK): Promise<void> => {
      reads = new Reads();
      const providers = [{ provide: Reads, useValue: reads }, ReadsBeforeCommit, ReadsAfterCommit];
      app = await createCrateApp({ database: name }, { consumer }, [...providers, PackCrateHandler]);
    };

    beforeEach(() => start());
    afterEach(() => app.close());

    it('changes nothing that a command around it has not written yet', async () => {
      expect(await app.app.get(RequestMediator).send(PackCrate.of())).toBe(5);
      expect(app.behaviour.calls).toBe(1);
      expect(await app.crates()).toBe(5);
    });

    it.each(Object.keys(MODES))(
      'in a transaction %s, loads in it before the commit, and outside of it afterwards',
      async (mode) => {
        await app.close();
        await start(MODES[mode]);
        const mediator = app.app.get(EventMediator);
        app.behaviour.onCall = async (_, em) => {
          const tally = await em.findOneOrFail(Tally, { name: 'crates' });
          tally.count += 10;
          await em.flush();
          await mediator.send(CrateCounted.of({ tally }));
        };
        const consume = (crateId: number) =>
          app.consumer.consume(PAYLOAD, onKafka(undefined, undefined, { crateId }));
        // Only in one transaction do they see each other's changes at once.
        if (mode === 'that others share') await Promise.all([1, 2, 3].map(consume));
        else for (const crateId of [1, 2, 3]) await consume(crateId);
        const before = reads.counts.filter((read) => read.startsWith('before'));
        const after = reads.counts.filter((read) => read.startsWith('after'));
        expect(before).toEqual(['before 11', 'before 22', 'before 33']);
        expect(after).toHaveLength(3);
        expect(after.at(-1)).toBe('after 33');
        expect(app.consumer.counts).toMatchObject({ handled: 3, failedAttempts: 0 });
      },
    );

    it('knows nothing of what work that goes on after a commit has in its own', async () => {
      const late: Promise<unknown>[] = [];
      app.behaviour.onCall = async (call) => {
        if (call > 1) return;
        const mediator = app.app.get(EventMediator);
        // Sent when the transaction of this message is over.
        const sent = new Promise((resolve) => setTimeout(resolve, 100)).then(() =>
          mediator.send(CratePacked.of({ crateId: 8 })),
        );
        late.push(sent);
      };
      await app.consumer.consume(PAYLOAD, onKafka());
      await Promise.all(late);
      expect(await app.crates()).toBe(2);
    });
  });
}
