import 'reflect-metadata';
import type { ContextType } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
} from '@nestjs/common/constants.js';
import { ContextIdFactory, type ModuleRef, type ExternalContextCreator } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import type { HandlerReference } from '../handlers/handler-reference.js';
import type { Enhancers } from './enhancers.js';

/**
 * The type of our execution contexts: `context.getType<CqrsContextType>() === 'cqrs'`. `getArgs()` gives the request,
 * or the event and its {@link MessageContext}; `getClass()` the handler's class.
 */
export type CqrsContextType = ContextType | 'cqrs';

/** Runs a handler, given its arguments. */
export type Invocation = (...args: unknown[]) => Promise<unknown>;

/** What is done around the handler's method and inside all enhancers: validation, transaction, inbox. */
export type InnermostStep = (proceed: () => Promise<unknown>, args: readonly unknown[]) => Promise<unknown>;

const ENHANCERS = [GUARDS_METADATA, INTERCEPTORS_METADATA, EXCEPTION_FILTERS_METADATA];

/**
 * Puts Nest's enhancers (guards, interceptors, filters) around a handler's method; one that has none is called directly. For
 * a handler with a single instance that is done once; a request-scoped or transient one is resolved for each call, in a
 * context of its own in which `REQUEST` is the request or event.
 */
export class HandlerPipeline {
  #creator: ExternalContextCreator | undefined;

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly enhancers: Enhancers,
  ) {}

  /** Whether no enhancer runs around these methods, and no instance is made for the call: there is the handler alone. */
  isBare(handler: HandlerReference, methods: readonly string[]): boolean {
    const single = singleInstanceOf(handler) as Partial<Record<string, object>> | undefined;
    if (!single) return false;
    const targets = [
      handler.handlerClass,
      single.constructor as object,
      ...methods.map((name) => single[name]),
    ];
    return !this.areEnhanced(targets.filter((target) => target !== undefined));
  }

  /** @param step left out: nothing is done around the method. @returns what never throws, but rejects */
  prepare(handler: HandlerReference, method: string, step?: InnermostStep): Invocation {
    const { wrapper } = handler;
    const single = singleInstanceOf(handler);
    if (single) return this.enhance(handler, single, method, step);

    return async (...args) => {
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(args[0], contextId);
      const scoped = await this.moduleRef.resolve<object>(handler.handlerClass, contextId, { strict: false });
      return this.enhance(handler, scoped, method, step, contextId, wrapper?.id)(...args);
    };
  }

  private enhance(
    { handlerClass }: HandlerReference,
    instance: object,
    methodName: string,
    step: InnermostStep | undefined,
    contextId?: ReturnType<typeof ContextIdFactory.create>,
    inquirerId?: string,
  ): Invocation {
    const method = (instance as Record<string, Invocation>)[methodName] as Invocation;
    const targets = [handlerClass, instance.constructor, method];
    if (!this.areEnhanced(targets)) return direct(instance, method, step);
    const hasFilters = this.enhancers.haveGlobalFilters || targets.some(declaresFilters);
    return this.creator.create(
      instance,
      step ? withStep(method, step) : method,
      methodName,
      undefined,
      undefined,
      contextId,
      inquirerId,
      { guards: true, interceptors: true, filters: hasFilters },
      'cqrs',
    ) as Invocation;
  }

  private areEnhanced(targets: readonly object[]): boolean {
    return this.enhancers.haveGlobal || targets.some(declaresEnhancers);
  }

  /** Made at the first call, when the application has all its global enhancers. */
  private get creator(): ExternalContextCreator {
    return (this.#creator ??= this.enhancers.createContextCreator());
  }
}

/** The instance that serves all calls, if there is one. */
function singleInstanceOf({ instance, wrapper }: HandlerReference): object | undefined {
  return (
    instance ?? (wrapper?.isDependencyTreeStatic() && !wrapper.isTransient ? wrapper.instance : undefined)
  );
}

function declaresFilters(target: object): boolean {
  return Reflect.hasMetadata(EXCEPTION_FILTERS_METADATA, target);
}

function declaresEnhancers(target: object): boolean {
  return ENHANCERS.some((key) => Reflect.hasMetadata(key, target));
}

/** A call without enhancers; as with them, the last value of an Observable is the result. */
function direct(instance: object, method: Invocation, step: InnermostStep | undefined): Invocation {
  const call: Invocation = async (...args) => {
    const value = await method.apply(instance, args);
    return isObservable(value) ? lastValueFrom(value) : value;
  };
  return step ? (...args) => step(() => call(...args), args) : call;
}

/**
 * The method with the step around it. It inherits from the method, so that `Reflector` finds the method's metadata on
 * `context.getHandler()`.
 */
function withStep(method: Invocation, step: InnermostStep): Invocation {
  const stepped = function (this: unknown, ...args: unknown[]): Promise<unknown> {
    return step(async () => method.apply(this, args), args);
  };
  Object.defineProperty(stepped, 'name', { value: method.name });
  return Object.setPrototypeOf(stepped, method) as Invocation;
}
