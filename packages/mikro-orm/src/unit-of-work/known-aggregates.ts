import { AggregateRoot } from '@cqrs-outbox/core';
import { ChangeSetType, type EntityManager, type UnitOfWork } from '@mikro-orm/core';

/** The aggregates that an entity manager knows, those included that it has just deleted. */
export class KnownAggregates {
  /** A flush forgets deleted entities, but they may have recorded their end. */
  readonly #deleted = new WeakMap<EntityManager, Set<AggregateRoot>>();

  /** Called in each flush, when it is known what it deletes. */
  noteDeleted(em: EntityManager, unitOfWork: UnitOfWork): void {
    for (const { type, entity } of unitOfWork.getChangeSets()) {
      const isDeleted = type === ChangeSetType.DELETE || type === ChangeSetType.DELETE_EARLY;
      if (!isDeleted || !(entity instanceof AggregateRoot)) continue;
      const deleted = this.#deleted.get(em) ?? new Set();
      this.#deleted.set(em, deleted.add(entity));
    }
  }

  *of(em: EntityManager): Generator<AggregateRoot> {
    const unitOfWork = em.getUnitOfWork(false);
    const known = [unitOfWork.getIdentityMap(), unitOfWork.getPersistStack(), unitOfWork.getRemoveStack()];
    for (const entities of known) {
      for (const entity of entities) if (entity instanceof AggregateRoot) yield entity;
    }
    yield* this.#deleted.get(em) ?? [];
  }

  /** The transaction is over. */
  forgetDeleted(em: EntityManager): void {
    this.#deleted.delete(em);
  }
}
