import {
  TransactionContext,
  TransactionEventBroadcaster,
  wrap,
  type EntityManager,
  type Transaction,
} from '@mikro-orm/core';

/**
 * As `em.transactional` outside of any context, which makes two forks where one is enough: `work` runs in a transaction and a
 * fresh persistence context, what it has changed is flushed, and then comes COMMIT.
 *
 * @param root the entity manager of the ORM
 */
export async function transactDetached<T>(
  root: EntityManager,
  work: (em: EntityManager, transaction: Transaction<object>) => Promise<T>,
): Promise<T> {
  const em = root.fork({ disableContextResolution: true });
  const options = {
    sessionContext: em.getTransactionSessionContext(),
    eventBroadcaster: new TransactionEventBroadcaster(em),
  };
  return TransactionContext.create(em, () =>
    em.getConnection('write').transactional(async (transaction: Transaction<object>) => {
      em.setTransactionContext(transaction);
      const result = await work(em, transaction);
      await em.flush();
      handOver(em, root);
      return result;
    }, options),
  );
}

/** What handlers after the commit get of its entities can be loaded further, which in this transaction it can't any more. */
function handOver(em: EntityManager, root: EntityManager): void {
  const known = em.getUnitOfWork(false).getIdentityMap();
  if (known.keys().length === 0) return;
  const next = root.fork({ disableContextResolution: true });
  for (const entity of known) {
    next.getUnitOfWork(false).getIdentityMap().store(entity);
    wrap(entity, true).__em = next;
  }
}
