import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { messageOf } from '../cqrs-outbox.error.js';
import { Command, Query } from '../messages/request.js';
import { DomainEvent, ECSTEvent, isOutbound, NotificationEvent } from '../messages/event.js';
import { MAX_NAME_LENGTH } from '../messages/integration-event.decorator.js';
import type { EventMap } from './event-map.js';
import { describeHandler, type EventHandlerReference, type HandlerReference } from './handler-reference.js';
import { HANDLING_PHASES } from './handling-phase.js';
import { handlerMetadataOf, type HandlerMetadata } from './handler-metadata.js';
import type { RequestMap } from './request-map.js';

/** A class with a handler's decorator, and what that says. */
interface DecoratedClass {
  readonly handlerClass: Type<object>;
  readonly metadata: HandlerMetadata;
}

/** What each kind of handler is decorated with, and what it may handle. */
const KINDS = {
  command: { decorator: '@CommandHandler', bases: [Command] },
  query: { decorator: '@QueryHandler', bases: [Query] },
  event: { decorator: '@EventHandler', bases: [DomainEvent, NotificationEvent, ECSTEvent] },
} as const;

/** Finds the decorated handlers of every module and fills the maps with them. */
export class HandlersExplorer {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly requests: RequestMap,
    private readonly events: EventMap,
  ) {}

  /** @returns every fault that was found, each with the classes and modules involved. */
  explore(): string[] {
    const faults: string[] = [];
    for (const { providers } of this.modules.values()) {
      for (const wrapper of providers.values()) {
        const { isAlias, metatype, token } = wrapper;
        if (isAlias) continue;
        // A factory or a value, such as a mock in a test, stands in for the class that is its token.
        const found = decorated(metatype) ?? (token === metatype ? undefined : decorated(token));
        if (found) this.register(wrapper as InstanceWrapper<object>, found, faults);
      }
    }
    return faults;
  }

  private register(
    wrapper: InstanceWrapper<object>,
    { handlerClass, metadata }: DecoratedClass,
    faults: string[],
  ): void {
    const handler: HandlerReference = { handlerClass, wrapper, instance: undefined };
    const method = metadata.kind === 'event' ? 'handle' : 'execute';
    if (typeof (handlerClass.prototype as Record<string, unknown>)[method] !== 'function') {
      faults.push(`${describeHandler(handler)} has no method ${method}()`);
    }
    const phaseFault = phaseFaultOf(metadata);
    if (phaseFault !== undefined) faults.push(`${describeHandler(handler)}: ${phaseFault}`);
    const fault = this.bind(metadata, handler);
    if (fault !== undefined) faults.push(fault);
  }

  private bind(metadata: HandlerMetadata, handler: HandlerReference): string | undefined {
    const { kind, handles } = metadata;
    const { decorator, bases } = KINDS[kind];
    const prototype = prototypeOf(handles);
    if (!prototype) {
      return (
        `${describeHandler(handler)}: ${decorator} got ${String(handles)}, which is no class; with undefined, look for ` +
        `a circular import`
      );
    }
    const handled = handles as Type<object>;
    if (!bases.some((base) => prototype instanceof base)) {
      const expected = bases.map(({ name }) => name).join(', ');
      return `${describeHandler(handler)}: ${decorator}(${handled.name}), but ${handled.name} does not extend ${expected}`;
    }
    if (kind !== 'event') return this.requests.add(handled, { kind, handler });
    const { name = handler.handlerClass.name, phase = 'before-commit' } = metadata;
    return this.bindEvent(handled, prototype, { ...handler, name, phase });
  }

  private bindEvent(
    eventClass: Type<object>,
    prototype: object,
    handler: EventHandlerReference,
  ): string | undefined {
    if (handler.name.length > MAX_NAME_LENGTH) {
      return `${describeHandler(handler)}: its name in the inbox is over ${MAX_NAME_LENGTH} characters`;
    }
    if (isOutbound(prototype)) {
      try {
        this.events.declare(eventClass);
      } catch (error) {
        return `${describeHandler(handler)}: ${messageOf(error)}`;
      }
    }
    return this.events.add(eventClass, handler);
  }
}

function phaseFaultOf({ phase, handles }: HandlerMetadata): string | undefined {
  if (phase === undefined) return undefined;
  if (!HANDLING_PHASES.includes(phase)) return `phase must be one of ${HANDLING_PHASES.join(', ')}`;
  const prototype = prototypeOf(handles);
  if (!prototype || !isOutbound(prototype)) return undefined;
  return (
    `phase is for domain events, but ${(handles as Type).name} comes from a broker, and its handler has a transaction of its own: ` +
    `leave it out`
  );
}

/** Of a class. To be asked once: V8 is slow to give it for the first time. */
function prototypeOf(value: unknown): object | undefined {
  return typeof value === 'function' ? (value.prototype as object | undefined) : undefined;
}

function decorated(candidate: unknown): DecoratedClass | undefined {
  if (typeof candidate !== 'function') return undefined;
  const metadata = handlerMetadataOf(candidate);
  return metadata && { handlerClass: candidate as Type<object>, metadata };
}
