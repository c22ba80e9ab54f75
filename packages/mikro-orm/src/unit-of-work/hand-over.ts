import { wrap, type EntityManager } from '@mikro-orm/core';

/**
 * Gives the entities of a transaction that has committed to an entity manager outside of it, so that handlers after the commit
 * can load what belongs to them: by their own they would send it to the transaction.
 */
export function handOver(em: EntityManager): void {
  const known = em.getUnitOfWork(false).getIdentityMap();
  if (known.keys().length === 0) return;
  const next = em.fork({ disableContextResolution: true });
  for (const entity of known) {
    next.getUnitOfWork(false).getIdentityMap().store(entity);
    wrap(entity, true).__em = next;
  }
}
