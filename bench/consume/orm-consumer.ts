import { outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroORM } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { HANDLER, UPDATE } from './account-database.ts';
import type { StartConsumer } from './run.ts';

/** The hand-written consumer with MikroORM in place of the driver: what its transaction alone costs of the difference. */
export const startByHandWithOrm: StartConsumer = async (source, database, settings) => {
  const orm = (await MikroORM.init({
    ...database.ormOptions,
    entities: [...outboxEntities],
    // As many transactions at a time as the pool has connections.
    pool: { max: settings.transactions },
  })) as MikroORM;
  const record = `insert into cqrs_inbox (message_id, handler, received_at) values (?, ?, ${database.now})`;
  let handled = 0;
  const stopConsumer = await source.consumeByHand(async (credits) => {
    await orm.em.fork().transactional(async (em) => {
      for (const { messageId, account, amount } of credits) {
        await (em as SqlEntityManager).execute(record, [messageId, HANDLER]);
        await (em as SqlEntityManager).execute(UPDATE, [amount, account]);
      }
    });
    handled += credits.length;
  }, settings);
  return {
    handled: () => handled,
    stop: async () => {
      await stopConsumer();
      await orm.close();
    },
  };
};
