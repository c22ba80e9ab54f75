import { afterEach, expect, it } from '@jest/globals';
import {
  Command,
  CommandHandler,
  NullTransport,
  Outbox,
  OutboxRelay,
  OutboxStore,
  RequestMediator,
  slotsOf,
  type CqrsOutboxOptions,
} from '@cqrs-outbox/core';
import { EntityManager } from '@mikro-orm/core';
import { StatementCounter } from '../../bench/servers/statement-counter.ts';
import { describeWith } from '../services/describe-with.ts';
import { eventually } from '../support/eventually.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';
import { Order, OrderPaid } from '../support/orders.ts';
import { kindOf } from '../support/statement-kind.ts';

class Change extends Command {
  events!: number;
}

@CommandHandler(Change)
class ChangeHandler {
  constructor(
    private readonly em: EntityManager,
    private readonly outbox: Outbox,
  ) {}

  async execute({ events }: Change): Promise<void> {
    const order = await this.em.findOneOrFail(Order, 1);
    order.status = order.status === 'new' ? 'changed' : 'new';
    for (let step = 0; step < events; step += 1) this.outbox.append(OrderPaid.of({ orderId: 1, step }));
  }
}

const HEARTBEAT = 'update cqrs_outbox_relay';
/** So many that two statements in place of one are seen. */
const TICKS = 4;

for (const { name, needs } of DATABASES) {
  describeWith(needs, `Statements that reach the driver of ${name}`, () => {
    let started: TestApp | undefined;

    const start = async (options: Partial<CqrsOutboxOptions> = {}): Promise<StatementCounter> => {
      started = await createTestApp({
        database: name,
        options: { transport: new NullTransport(), slots: 1, ...options },
        providers: [ChangeHandler],
      });
      await started.orm.em.fork().insert(Order, { id: 1, status: 'new' });
      return StatementCounter.attach(started.orm);
    };

    afterEach(async () => {
      await started?.close();
      started = undefined;
    });

    it('are one more for a command with events, however many, and none where COMMIT goes with it', async () => {
      const counter = await start();
      const statementsOf = async (events: number): Promise<string[]> => {
        await started!.app.get(RequestMediator).send(Change.of({ events }));
        return counter.take().map(kindOf);
      };
      const without = await statementsOf(0);
      expect(without).toEqual(['begin', 'select orders', 'update orders', 'commit']);
      const end = name === 'libsql' ? ['insert cqrs_outbox', 'commit'] : ['insert cqrs_outbox, commit'];
      const withEvents = ['begin', 'select orders', 'update orders', ...end];
      await expect(statementsOf(1)).resolves.toEqual(withEvents);
      await expect(statementsOf(10)).resolves.toEqual(withEvents);
    });

    it('are one to read a batch and one to delete it, however large it is', async () => {
      const counter = await start();
      const { app, orm } = started!;
      const store = app.get(OutboxStore);
      const { first: slot } = slotsOf(1);
      const rows = `insert into cqrs_outbox_slot (slot, owner, epoch) values (${slot}, 'me', 1)`;
      await orm.em.fork().execute(rows);
      for (const events of [1, 30]) {
        await app.get(RequestMediator).send(Change.of({ events }));
        counter.take();
        const selection = { destination: 'default', slots: [slot], slotCount: 1, limitPerSlot: 100 };
        const { entries } = await store.fetch(selection);
        expect(entries).toHaveLength(events);
        await store.remove(entries, [{ slot, owner: 'me', epoch: 1 }]);
        expect(counter.take().map(kindOf)).toEqual(['select cqrs_outbox', 'delete cqrs_outbox']);
      }
    });

    it('are five for a tick of an idle relay', async () => {
      const counter = await start({ relay: {} });
      await started!.app.get(OutboxRelay).runOnce();
      counter.take();
      const counts = new Map<string, number>();
      await eventually(() => {
        for (const kind of counter.take().map(kindOf)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
        expect(counts.get(HEARTBEAT)).toBeGreaterThanOrEqual(TICKS);
      });
      const { [HEARTBEAT]: ticks = 0, ...others } = Object.fromEntries(counts);
      expect(Object.keys(others).sort()).toEqual([
        'select cqrs_outbox',
        'select cqrs_outbox_delayed',
        'select cqrs_outbox_relay',
        'select cqrs_outbox_slot',
      ]);
      // One of each: of the tick that has begun first or last, a part may be missing.
      for (const count of Object.values(others)) expect(Math.abs(count - ticks)).toBeLessThanOrEqual(1);
    });
  });
}
