import { AsyncResource } from 'node:async_hooks';
import type { CallHandler, ContextType, NestInterceptor } from '@nestjs/common';
import { InterceptorsConsumer } from '@nestjs/core/interceptors/interceptors-consumer.js';
import { defer, from, isObservable, mergeAll, type Observable } from 'rxjs';

type Parameters = globalThis.Parameters<InterceptorsConsumer['intercept']>;

/**
 * Runs interceptors as Nest does: the first outermost, each `handle()` cold, in the asynchronous context in which it was
 * called. Nest waits for a promise before each of them; here an interceptor that answers at once costs none.
 */
export class InterceptorChain extends InterceptorsConsumer {
  override async intercept<C extends string = ContextType>(
    interceptors: NestInterceptor[],
    args: unknown[],
    instance: Parameters[2],
    callback: Parameters[3],
    next: () => Promise<unknown>,
    type?: C,
  ): Promise<unknown> {
    if (interceptors.length === 0) return next();
    const context = this.createContext(args, instance, callback);
    if (type !== undefined) context.setType(type);
    const at = (index: number): Observable<unknown> => {
      const interceptor = interceptors[index];
      if (!interceptor) return this.transformDeferred(next);
      const rest: CallHandler = { handle: () => deferInScope(() => at(index + 1)) };
      const result = interceptor.intercept(context, rest);
      return isObservable(result) ? result : from(Promise.resolve(result)).pipe(mergeAll());
    };
    return defer(() => at(0));
  }
}

/** Subscribes in the asynchronous context of now: rxjs may do so in another. */
function deferInScope(make: () => Observable<unknown>): Observable<unknown> {
  const scope = new AsyncResource('CqrsInterceptor');
  return defer(() => scope.runInAsyncScope(make));
}
