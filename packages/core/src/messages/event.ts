import { Constructible } from './constructible.js';

declare const eventKind: unique symbol;

/**
 * Something that happened, named in the past tense; it stays in the process. Its handlers run inside the transaction
 * that recorded it, before the commit, in the order in which events were recorded. One that fails rolls the
 * transaction back. Those with the phase `after-commit` run when all of that has committed, in the same order, and
 * outside of the transaction.
 */
export abstract class DomainEvent extends Constructible {
  /** Exists for the type checker only. */
  declare readonly [eventKind]?: 'domain';
}

/**
 * An event that leaves the process through the outbox: it says that something happened. Declare its wire name, topic
 * and key with {@link IntegrationEvent}.
 */
export abstract class NotificationEvent extends Constructible {
  /** Exists for the type checker only. */
  declare readonly [eventKind]?: 'notification';
}

/**
 * Event-carried state transfer: an event that leaves the process through the outbox and carries the state of an
 * aggregate. Its key is the aggregate's id; {@link Outbox.appendTombstone} says that the aggregate is gone.
 */
export abstract class ECSTEvent extends Constructible {
  /** Exists for the type checker only. */
  declare readonly [eventKind]?: 'ecst';
}

/** An event that leaves the process. */
export type OutboundEvent = NotificationEvent | ECSTEvent;

/** Any event. */
export type AnyEvent = DomainEvent | OutboundEvent;

/** The class of an event `E`: constructible without arguments, as class-transformer needs it. */
export type EventClass<E extends object = object> = new () => E;

/** Whether `event` leaves the process. */
export function isOutbound(event: object): event is OutboundEvent {
  return event instanceof NotificationEvent || event instanceof ECSTEvent;
}
