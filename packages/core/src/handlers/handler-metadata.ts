import 'reflect-metadata';
import type { HandlingPhase } from './handling-phase.js';

/** Where the handler decorators write, and {@link handlerMetadataOf} alone reads. */
export const HANDLER_METADATA = Symbol('cqrs-outbox:handler');

/** What a handler decorator says of its class. */
export interface HandlerMetadata {
  readonly kind: 'command' | 'query' | 'event';
  /** What it was decorated with: in a circular import this can be undefined at run time. */
  readonly handles: unknown;
  readonly name?: string | undefined;
  /** As it was given, which JavaScript callers may have done wrong. */
  readonly phase?: HandlingPhase | undefined;
}

/** The metadata of exactly this class: a subclass of a handler is no handler unless it is decorated itself. */
export function handlerMetadataOf(target: object): HandlerMetadata | undefined {
  return Reflect.getOwnMetadata(HANDLER_METADATA, target) as HandlerMetadata | undefined;
}
