import type { AnyEvent } from './event.js';

const recorded = Symbol('cqrs-outbox:recorded');

/**
 * Base class of entities that record events about themselves. The store collects what was recorded, from every
 * aggregate that its persistence context knows, before the transaction commits: no handler names them.
 */
export abstract class AggregateRoot {
  declare private readonly [recorded]?: AnyEvent[];

  /**
   * Records an event: a domain event for handlers in this transaction, or an outbound event for the outbox. It is taken
   * at a flush or before the commit, validated and serialised then, and dropped by a rollback. An invalid event makes
   * that flush or commit fail, with the errors of {@link Outbox.append}.
   */
  protected record(event: AnyEvent): void {
    const events = this[recorded];
    if (events) events.push(event);
    // Made on first use, since an ORM loads entities without their constructors; hidden from serialisers.
    else Object.defineProperty(this, recorded, { value: [event], configurable: true, writable: true });
  }

  /** Takes the recorded events of an aggregate, oldest first, and forgets them there. For stores. */
  static takeRecorded(aggregate: AggregateRoot): AnyEvent[] {
    return aggregate[recorded]?.splice(0) ?? [];
  }
}
