import {
  TransactionEventBroadcaster,
  type EntityManager,
  type EventSubscriber,
  type Transaction,
  type TransactionEventType,
} from '@mikro-orm/core';

/**
 * Ours, which as a rule is the only one that listens to an entity manager: then it is told directly, and not of a flush that
 * writes nothing. By MikroORM's lists of listeners and hooks a small transaction, which has seven such events, takes
 * a twentieth more.
 */
export class SoleListener {
  /** @param find undefined before there is one */
  constructor(private readonly find: () => EventSubscriber | undefined) {}

  /** What MikroORM's connection tells of a transaction. */
  transactionEvents(em: EntityManager): TransactionEventBroadcaster {
    return new DirectEvents(em, () => this.soleOf(em));
  }

  /** @returns undefined when there is nothing to write */
  flush(em: EntityManager): Promise<void> | undefined {
    return this.soleOf(em) && hasNothingToWrite(em) ? undefined : em.flush();
  }

  /** Others may come while the transaction is open. */
  private soleOf(em: EntityManager): EventSubscriber | undefined {
    const subscribers = em.getEventManager().getSubscribers();
    const listener = this.find();
    return listener && subscribers.size === 1 && subscribers.has(listener) ? listener : undefined;
  }
}

const DONE = Promise.resolve();

class DirectEvents extends TransactionEventBroadcaster {
  /** @param findSole asked for each event */
  constructor(
    private readonly entityManager: EntityManager,
    private readonly findSole: () => EventSubscriber | undefined,
  ) {
    super(entityManager);
  }

  override dispatchEvent(event: TransactionEventType, transaction?: Transaction<object>): Promise<void> {
    const sole = this.findSole();
    if (!sole) return super.dispatchEvent(event, transaction);
    return sole[event]?.({ em: this.entityManager, transaction }) ?? DONE;
  }
}

/** All that MikroORM looks at: what was removed from a collection may be left when the entities are not there any more. */
function hasNothingToWrite(em: EntityManager): boolean {
  const unitOfWork = em.getUnitOfWork(false);
  const stacked =
    unitOfWork.getPersistStack().size +
    unitOfWork.getRemoveStack().size +
    unitOfWork.getOrphanRemoveStack().size +
    unitOfWork.getExtraUpdates().size +
    unitOfWork.getCollectionUpdates().length;
  if (stacked > 0) return false;
  const entities = unitOfWork.getIdentityMap()[Symbol.iterator]();
  return entities.next().done === true;
}
