import type { Type } from '@nestjs/common';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { HandlingPhase } from './handling-phase.js';

/** A handler as it was found: its class, its module, and how to get an instance of it. */
export interface HandlerReference {
  readonly handlerClass: Type<object>;
  readonly moduleName: string;
  /** For events: the name in the inbox. */
  readonly name: string;
  /** For domain events. */
  readonly phase: HandlingPhase;
  /** Undefined for a handler that was bound by hand, which has an instance. */
  readonly wrapper: InstanceWrapper<object> | undefined;
  /** Set for a handler that was bound by hand. */
  readonly instance: object | undefined;
}

/** `CloseMeetingHandler (MeetingsModule)`, for messages. */
export function describeHandler({ handlerClass, moduleName }: HandlerReference): string {
  return `${handlerClass.name} (${moduleName})`;
}
