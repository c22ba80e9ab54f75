import type { Type } from '@nestjs/common';
import type { Request } from '../messages/request.js';
import { describeHandler, handBound, type HandlerReference } from './handler-reference.js';
import type { RequestHandler } from './request-handler.js';

/** A request class with the handler that answers it. */
export interface RequestBinding {
  readonly kind: 'command' | 'query';
  readonly handler: HandlerReference;
}

/** Request class -> its one handler. Discovery fills it at boot; `bind` adds a handler that is no provider. */
export class RequestMap {
  readonly #bindings = new Map<unknown, RequestBinding>();

  /** The handler of a request class, if there is one. */
  get(requestClass: unknown): RequestBinding | undefined {
    return this.#bindings.get(requestClass);
  }

  /**
   * Binds an instance by hand, before the application has booted (as a rule in a module's constructor).
   * A decorated handler of the same request is then a fault at boot.
   *
   * @throws TypeError when a handler of this request was bound already
   */
  bind<T extends Request>(
    kind: 'command' | 'query',
    requestClass: Type<T>,
    handler: RequestHandler<T>,
  ): void {
    const fault = this.add(requestClass, { kind, handler: handBound(handler) });
    if (fault !== undefined) throw new TypeError(fault);
  }

  /** @returns the fault, if the request has a handler already. @internal */
  add(requestClass: Type, binding: RequestBinding): string | undefined {
    const existing = this.#bindings.get(requestClass);
    if (existing) {
      return (
        `${requestClass.name} has two handlers: ${describeHandler(existing.handler)} and ` +
        `${describeHandler(binding.handler)}; keep one, provided by one module`
      );
    }
    this.#bindings.set(requestClass, binding);
    return undefined;
  }
}
