import type { Type } from '@nestjs/common';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { HandlingPhase } from './handling-phase.js';

/** A handler as it was found: its class, and how to get an instance of it. */
export interface HandlerReference {
  readonly handlerClass: Type<object>;
  /** Undefined for a handler that was bound by hand, which has an instance. */
  readonly wrapper: InstanceWrapper<object> | undefined;
  /** Set for a handler that was bound by hand. */
  readonly instance: object | undefined;
}

/** A handler of an event. */
export interface EventHandlerReference extends HandlerReference {
  /** In the inbox. */
  readonly name: string;
  /** For domain events. */
  readonly phase: HandlingPhase;
}

/** A reference to an instance that no module provides. */
export function handBound(instance: object): HandlerReference {
  return { handlerClass: instance.constructor as Type<object>, wrapper: undefined, instance };
}

/** `CloseMeetingHandler (MeetingsModule)`, for messages. */
export function describeHandler({ handlerClass, wrapper }: HandlerReference): string {
  const moduleName = wrapper ? (wrapper.host?.name ?? 'unknown module') : 'bound by hand';
  return `${handlerClass.name} (${moduleName})`;
}
