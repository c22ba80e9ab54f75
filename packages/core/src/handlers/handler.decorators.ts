import 'reflect-metadata';
import type { DomainEvent, EventClass, OutboundEvent } from '../messages/event.js';
import type { Command, Query } from '../messages/request.js';
import type { HandlesEvent, RequestHandler } from './request-handler.js';
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
}

/** Marks a provider as a handler of an event. An event may have several; each has its own transaction and inbox row. */
export function EventHandler<E extends DomainEvent | OutboundEvent>(
  event: EventClass<E>,
  options: EventHandlerOptions = {},
) {
  return (target: ClassOf<HandlesEvent<E>>): void => {
    define(target, { kind: 'event', handles: event, name: options.name });
  };
}

function define(target: object, metadata: HandlerMetadata): void {
  Reflect.defineMetadata(HANDLER_METADATA, metadata, target);
}
