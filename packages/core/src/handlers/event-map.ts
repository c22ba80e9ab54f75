import { isOutbound, type EventClass } from '../messages/event.js';
import { eventDeclarationOf, type EventDeclaration } from '../messages/integration-event.decorator.js';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import { describeHandler, handBound, type EventHandlerReference } from './handler-reference.js';
import type { HandlingPhase } from './handling-phase.js';
import type { HandlesEvent } from './request-handler.js';

/** Event class -> its handlers, and wire name -> event class. Discovery fills it at boot. */
export class EventMap {
  readonly #handlers = new Map<unknown, EventHandlerReference[]>();
  readonly #byName = new Map<string, EventDeclaration>();

  /** The handlers of an event class, in the order in which they were found; empty when there are none. */
  handlersOf(eventClass: unknown, phase?: HandlingPhase): readonly EventHandlerReference[] {
    const handlers = this.#handlers.get(eventClass) ?? [];
    return phase ? handlers.filter((handler) => handler.phase === phase) : handlers;
  }

  /** The event class with this wire name. */
  byName(name: string): EventDeclaration | undefined {
    return this.#byName.get(name);
  }

  /** Every event class that is known by its wire name: those with handlers, of `forRoot({ events })`, and appended ones. */
  declarations(): readonly EventDeclaration[] {
    return [...this.#byName.values()];
  }

  /**
   * Binds an instance by hand, before the application has booted; for a domain event, before the commit. The class of an event from a broker must be known by
   * its wire name too: see `declare`, or `forRoot({ events })`.
   *
   * @param name the handler's name in the inbox; the name of its class unless given
   * @throws TypeError when a handler of this event has the same name
   */
  bind<E extends object>(eventClass: EventClass<E>, handler: HandlesEvent<E>, name?: string): void {
    if (isOutbound(eventClass.prototype as object)) this.declare(eventClass);
    const bound = handBound(handler);
    const reference = { ...bound, name: name ?? bound.handlerClass.name, phase: 'before-commit' } as const;
    const fault = this.add(eventClass, reference);
    if (fault !== undefined) throw new TypeError(fault);
  }

  /** @returns the fault, if a handler of this event has the same name already. @internal */
  add(eventClass: EventClass, handler: EventHandlerReference): string | undefined {
    const handlers = this.#handlers.get(eventClass) ?? [];
    const twin = handlers.find(({ name }) => name === handler.name);
    if (twin) {
      return (
        `${eventClass.name} has two handlers named ${handler.name}: ${describeHandler(twin)} and ` +
        `${describeHandler(handler)}; the inbox can't tell them apart: provide it in one module, or give a name in ` +
        `@EventHandler`
      );
    }
    this.#handlers.set(eventClass, [...handlers, handler]);
    return undefined;
  }

  /**
   * Remembers an outbound event class by its wire name; a class that is known already is left.
   * @throws {@link CqrsOutboxError} with code `EVENT_NOT_DECLARED` or `EVENT_NAME_CONFLICT`
   */
  declare(eventClass: object): EventDeclaration {
    const declaration = eventDeclarationOf(eventClass);
    if (!declaration) {
      const name = typeof eventClass === 'function' ? eventClass.name : 'An object that is no class';
      throw new CqrsOutboxError(
        'EVENT_NOT_DECLARED',
        `${name} has no @IntegrationEvent({ name, topic }): add it.`,
      );
    }
    const known = this.#byName.get(declaration.name);
    if (known && known.eventClass !== declaration.eventClass) {
      throw new CqrsOutboxError(
        'EVENT_NAME_CONFLICT',
        `The event name ${declaration.name} is on two classes, ${known.eventClass.name} and ` +
          `${declaration.eventClass.name}: a wire name belongs to one class`,
      );
    }
    this.#byName.set(declaration.name, declaration);
    return declaration;
  }
}
