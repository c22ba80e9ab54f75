import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { collectGarbage } from '../support/collect-garbage.ts';
import { Tally } from '../support/orders.ts';
import { createCrateApp } from './consumer-fixture.ts';

describe('a nested transaction that has ended', () => {
  it('is collected as garbage with its entities, while the one around it goes on', async () => {
    const app = await createCrateApp({ database: 'libsql' });
    const nested: WeakRef<object>[] = [];
    await app.orm.em.fork().transactional(async (em) => {
      for (let count = 0; count < 100; count++) {
        const work = async (inner: object): Promise<void> => void nested.push(new WeakRef(inner));
        await em.transactional(work, { clear: true });
      }
      await em.findOne(Tally, { name: 'crates' });
      // What a turn has looked at by a WeakRef is kept until the next one.
      await nextTurn();
      collectGarbage();
      expect(nested.filter((one) => one.deref() !== undefined).length).toBeLessThan(10);
    });
    await app.close();
  });
});
