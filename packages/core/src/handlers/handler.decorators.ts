import 'reflect-metadata';
import type { DomainEvent, EventClass, OutboundEvent } from '../messages/event.js';
import type { Command, Query } from '../messages/request.js';
import type { HandlesEvent, RequestHandler } from './request-handler.js';
import type { HandlingPhase } from './handling-phase.js';
import { HANDLER_METADATA, type HandlerMetadata } from './handler-metadata.js';

/** What a class decorator gets: the class, with any constructor. */
type ClassOf<T> = new (
  // Handlers are constructed by Nest: their parameters are of any type.
  ...args: never[]
) => T;

/**
 * Marks a provider as the one handler of a command. Found at boot in every module, in any injection scope.
 * A second handler of the same command stops the boot.
 */
export function CommandHandler<C extends Command<unknown>>(command: new () => C) {
  return (target: ClassOf<RequestHandler<C>>): void => {
    define(target, { kind: 'command', handles: command });
  };
}

/** Marks a provider as the one handler of a query. Found at boot in every module, in any injection scope. */
export function QueryHandler<Q extends Query>(query: new () => Q) {
  return (target: ClassOf<RequestHandler<Q>>): void => {
    define(target, { kind: 'query', handles: query });
  };
}

/** Settings of {@link EventHandler}. */
export interface EventHandlerOptions {
  /**
   * The name by which the inbox remembers this handler. Set it before you rename a class: with a new name, a message
   * that is delivered again is handled again. At most 191 characters.
   * @defaultValue the name of the class
   */
  name?: string;
  /**
   * For a domain event: whether the handler is a part of the transaction (`before-commit`), or runs when that has committed
   * (`after-commit`), outside of any transaction. After the commit is for what may be lost, such as a cache or a socket: a
   * failure is only logged, and a crash loses it. What must not be lost belongs into the outbox. The command resolves when
   * those handlers have run, so a slow one delays its caller. At a handler of another event it is a fault at boot.
   * @defaultValue 'before-commit'
   */
  phase?: HandlingPhase;
}

/**
 * Marks a provider as a handler of an event, which may have several. Those of an event from a broker have each their own
 * transaction and inbox row; those of a domain event run in the transaction that recorded it, or after it, see
 * {@link EventHandlerOptions.phase}.
 */
export function EventHandler<E extends DomainEvent | OutboundEvent>(
  event: EventClass<E>,
  options: EventHandlerOptions = {},
) {
  return (target: ClassOf<HandlesEvent<E>>): void => {
    define(target, { kind: 'event', handles: event, name: options.name, phase: options.phase });
  };
}

function define(target: object, metadata: HandlerMetadata): void {
  Reflect.defineMetadata(HANDLER_METADATA, metadata, target);
}
