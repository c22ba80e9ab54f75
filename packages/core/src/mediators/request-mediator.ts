import type { Type } from '@nestjs/common';
import { HandlerNotFoundError } from '../cqrs-outbox.error.js';
import type { RequestMap, RequestBinding } from '../handlers/request-map.js';
import { checkedCorrelationId } from '../messages/correlation-id.js';
import type { Request } from '../messages/request.js';
import type { Tracing } from '../tracing/tracing.js';
import type { CommandUnitOfWork } from '../unit-of-work/command-unit-of-work.js';
import type { ExecutionScope } from '../unit-of-work/execution-scope.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import type { HandlerPipeline, InnermostStep } from './handler-pipeline.js';
import { rejected } from './rejected.js';
import type { RequestValidator } from './validation.js';

/** How a request is sent. */
export interface SendOptions {
  /**
   * Starts a correlation: the id that the messages share which this request appends, those that their handlers append, and
   * so on; 1 to 64 characters without white space, such as the id of the HTTP request.
   * @defaultValue the correlation in which the request is sent; outside of one, each event begins its own
   */
  correlationId?: string | undefined;
}

/** The way of the requests of one class to their handler. */
type Route = (request: object) => Promise<unknown>;

/** Sends commands and queries to their handlers. */
export class RequestMediator {
  readonly #routes = new Map<Type, Route>();

  constructor(
    private readonly requests: RequestMap,
    private readonly pipeline: HandlerPipeline,
    private readonly validator: RequestValidator,
    private readonly unitOfWork: UnitOfWork,
    private readonly commands: CommandUnitOfWork,
    private readonly scope: ExecutionScope,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Runs the request through guards, interceptors and validation, and then its handler.
   *
   * A command's handler runs in a transaction that commits before this resolves and is rolled back when the handler
   * rejects. Sent from inside a command (or any open transaction of the store) it joins that one, which commits or
   * rolls back as a whole. It resolves when the handlers that wait for the commit have run too, whatever comes of them.
   * A query's handler runs in a fresh persistence context without a unit of work.
   *
   * @throws {@link HandlerNotFoundError} when no class handles the request
   * @throws {@link RequestValidationError} when it breaks its class-validator rules; the handler is not run
   * @throws {@link UnitOfWorkRolledBackError} when a command that joined has failed and its error was caught: nothing is
   *   committed
   * @throws {@link NoActiveUnitOfWorkError} for a command that a query sends while it reads through a transaction
   * @throws {@link CqrsOutboxError} with code `CORRELATION_ID` for an id that is none
   * @throws what the handler, an enhancer or the commit throws
   */
  send<R>(request: Request<R>, options: SendOptions = {}): Promise<R> {
    try {
      // The decorators tie the handler's result to the request's type.
      return this.start(request, options) as Promise<R>;
    } catch (error) {
      return rejected(error);
    }
  }

  /** Without a promise of its own: a query of a plain handler takes no longer than the handler. */
  private start(request: object, { correlationId }: SendOptions): Promise<unknown> {
    const requestClass = request.constructor as Type;
    const { name } = requestClass;
    const run = (): Promise<unknown> => this.routeOf(requestClass)(request);
    if (correlationId === undefined) return this.tracing.request(name, run);
    const changes = { correlationId: checkedCorrelationId(name, correlationId) };
    return this.scope.run(changes, () => this.tracing.request(name, run));
  }

  /** Found at the first request of a class. */
  private routeOf(requestClass: Type): Route {
    const known = this.#routes.get(requestClass);
    if (known) return known;
    const binding = this.requests.get(requestClass);
    if (!binding) throw new HandlerNotFoundError(requestClass.name);
    const route =
      binding.kind === 'query' ? this.queryRoute(requestClass, binding) : this.commandRoute(binding);
    this.#routes.set(requestClass, route);
    return route;
  }

  private commandRoute({ handler }: RequestBinding): Route {
    const invocation = this.pipeline.prepare(handler, 'execute', async (proceed, [command]) => {
      await this.validator.validate(command as object);
      return this.commands.run(command as object, proceed);
    });
    return (command) =>
      this.commands.isOpen ? invocation(command) : this.unitOfWork.runInContext(() => invocation(command));
  }

  private queryRoute(queryClass: Type, { handler }: RequestBinding): Route {
    const validated: InnermostStep = async (proceed, [query]) => {
      await this.validator.validate(query as object);
      return proceed();
    };
    const step = this.validator.hasRules(queryClass) ? validated : undefined;
    const invocation = this.pipeline.prepare(handler, 'execute', step);
    return (query) => {
      const readOnly = this.unitOfWork.current();
      const run = (): Promise<unknown> => this.unitOfWork.runInContext(() => invocation(query));
      return readOnly ? this.scope.run({ readOnly }, run) : run();
    };
  }
}
