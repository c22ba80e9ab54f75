import { afterEach, beforeEach, expect, it } from '@jest/globals';
import {
  AggregateRoot,
  DomainEvent,
  EventHandler,
  NullTransport,
  type HandlesEvent,
} from '@cqrs-outbox/core';
import { Collection, defineEntity, p, type EntityManager } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { describeWith } from '../services/describe-with.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { DATABASES } from '../support/database.ts';

class Happened extends DomainEvent {
  what!: string;
}

/** An aggregate that loads and stores another kind of aggregate with itself. */
class Basket extends AggregateRoot {
  id!: number;
  note = '';
  items = new Collection<Item>(this);

  happen(what: string): void {
    this.note = what;
    this.record(Happened.of({ what }));
  }
}

class Item extends AggregateRoot {
  id!: number;
  note = '';
  basket!: Basket;

  happen(what: string): this {
    this.note = what;
    this.record(Happened.of({ what }));
    return this;
  }
}

const basketSchema = defineEntity({
  name: 'Basket',
  tableName: 'baskets',
  properties: {
    id: p.integer().primary().autoincrement(false),
    note: p.string(),
    items: () => p.oneToMany(itemSchema).mappedBy('basket').orphanRemoval(),
  },
});
const itemSchema = defineEntity({
  name: 'Item',
  tableName: 'basket_items',
  properties: {
    id: p.integer().primary().autoincrement(false),
    note: p.string(),
    basket: () => p.manyToOne(basketSchema),
  },
});
basketSchema.setClass(Basket);
itemSchema.setClass(Item);

const heard: string[] = [];

@EventHandler(Happened)
class OnHappened implements HandlesEvent<Happened> {
  handle({ what }: Happened): void {
    heard.push(`before ${what}`);
  }
}

@EventHandler(Happened, { phase: 'after-commit' })
class AfterHappened implements HandlesEvent<Happened> {
  handle({ what }: Happened): void {
    heard.push(`after ${what}`);
  }
}

/** How the work is committed; a flush alone has no handlers before the commit. */
const WAYS = {
  'em.transactional': {
    commit: (orm: MikroORM, work: (em: EntityManager) => Promise<void>) => orm.em.fork().transactional(work),
    phases: ['before', 'after'],
    providers: [OnHappened, AfterHappened],
  },
  'a flush': {
    commit: async (orm: MikroORM, work: (em: EntityManager) => Promise<void>) => {
      const em = orm.em.fork();
      await work(em);
      await em.flush();
    },
    phases: ['after'],
    providers: [AfterHappened],
  },
};

for (const { name, needs } of DATABASES) {
  for (const [way, { commit, phases, providers }] of Object.entries(WAYS)) {
    describeWith(needs, `what aggregates record in ${way} on ${name}, without being named`, () => {
      let test: TestApp;

      beforeEach(async () => {
        test = await createTestApp({
          database: name,
          options: { transport: new NullTransport() },
          entities: [basketSchema, itemSchema],
          providers,
        });
        const em = test.orm.em.fork();
        await em.insert(Basket, { id: 1, note: '' });
        await em.insertMany(Item, [
          { id: 1, note: '', basket: 1 },
          { id: 2, note: '', basket: 1 },
        ]);
        heard.length = 0;
      });

      afterEach(() => test.close());

      const expectHeard = (...events: string[]): void => {
        const expected = phases.flatMap((phase) => events.map((event) => `${phase} ${event}`));
        // Aggregates are asked one after another: the order is that within each of them.
        expect([...heard].sort()).toEqual(expected.sort());
      };
      const newItem = (id: number): Item => Object.assign(new Item(), { id });

      it('is heard of those that were loaded, at any place of the object graph', async () => {
        await commit(test.orm, async (em) => {
          const basket = await em.findOneOrFail(Basket, 1, { populate: ['items'] });
          basket.happen('basket');
          for (const item of basket.items) item.happen(`item ${item.id}`);
        });
        expectHeard('basket', 'item 1', 'item 2');
      });

      it('is heard of new ones, also of those that come along with a persisted one', async () => {
        await commit(test.orm, async (em) => {
          const basket = Object.assign(new Basket(), { id: 2 });
          basket.happen('new basket');
          basket.items.add(newItem(21).happen('new item'));
          em.persist(basket);
        });
        expectHeard('new basket', 'new item');
      });

      it('is heard of a new one that was added to a loaded collection only', async () => {
        await commit(test.orm, async (em) => {
          const basket = await em.findOneOrFail(Basket, 1, { populate: ['items'] });
          basket.items.add(newItem(3).happen('added'));
        });
        expectHeard('added');
      });

      it('is heard of removed ones, whether removed themselves or taken out of their collection', async () => {
        await commit(test.orm, async (em) => {
          const basket = await em.findOneOrFail(Basket, 1, { populate: ['items'] });
          const [first, second] = basket.items.getItems();
          em.remove(first!.happen('removed'));
          basket.items.remove(second!.happen('taken out'));
        });
        expectHeard('removed', 'taken out');
        expect(await test.orm.em.fork().count(Item)).toBe(0);
      });

      it('is heard once, in the order of recording, over several flushes', async () => {
        await commit(test.orm, async (em) => {
          const basket = await em.findOneOrFail(Basket, 1);
          for (const what of way === 'a flush' ? ['one'] : ['one', 'two', 'three']) {
            basket.happen(what);
            await em.flush();
          }
        });
        const events = way === 'a flush' ? ['one'] : ['one', 'two', 'three'];
        expect(heard).toEqual(phases.flatMap((phase) => events.map((event) => `${phase} ${event}`)));
      });
    });
  }
}
