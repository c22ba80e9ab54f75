import { Injectable } from '@nestjs/common';
import { HandlerNotFoundError } from '../cqrs-outbox.error.js';
import { RequestMap, type RequestBinding } from '../handlers/request-map.js';
import { checkedCorrelationId } from '../messages/correlation-id.js';
import type { Request } from '../messages/request.js';
import { Tracing } from '../tracing/tracing.js';
import { CommandUnitOfWork } from '../unit-of-work/command-unit-of-work.js';
import { ExecutionScope } from '../unit-of-work/execution-scope.js';
import { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import { HandlerPipeline, type InnermostStep, type Invocation } from './handler-pipeline.js';
import { RequestValidator } from './validation.js';

/** How a request is sent. */
export interface SendOptions {
  /**
   * Starts a correlation: the id that the messages share which this request appends, those that their handlers append, and
   * so on; 1 to 64 characters without white space, such as the id of the HTTP request.
   * @defaultValue the correlation in which the request is sent; outside of one, each event begins its own
   */
  correlationId?: string | undefined;
}

/** Sends commands and queries to their handlers. */
@Injectable()
export class RequestMediator {
  readonly #invocations = new Map<unknown, Invocation>();

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
  async send<R>(request: Request<R>, options: SendOptions = {}): Promise<R> {
    const requestName = request.constructor.name;
    if (options.correlationId === undefined)
      return this.tracing.request(requestName, () => this.run(request));
    const correlationId = checkedCorrelationId(requestName, options.correlationId);
    return this.scope.run({ correlationId }, () =>
      this.tracing.request(requestName, () => this.run(request)),
    );
  }

  private async run<R>(request: Request<R>): Promise<R> {
    const binding = this.requests.get(request.constructor);
    if (!binding) throw new HandlerNotFoundError(request.constructor.name);
    const invocation = this.invocationOf(request.constructor, binding);
    const result =
      binding.kind === 'query' ? this.runQuery(invocation, request) : this.runCommand(invocation, request);
    // The decorators tie the handler's result to the request's type.
    return (await result) as R;
  }

  private runCommand(invocation: Invocation, command: object): Promise<unknown> {
    return this.commands.isOpen
      ? invocation(command)
      : this.unitOfWork.runInContext(() => invocation(command));
  }

  private runQuery(invocation: Invocation, query: object): Promise<unknown> {
    const readOnly = this.unitOfWork.current();
    const run = (): Promise<unknown> => this.unitOfWork.runInContext(() => invocation(query));
    return readOnly ? this.scope.run({ readOnly }, run) : run();
  }

  private invocationOf(requestClass: unknown, { kind, handler }: RequestBinding): Invocation {
    let invocation = this.#invocations.get(requestClass);
    if (!invocation) {
      const step: InnermostStep = async (proceed, args) => {
        const request = args[0] as object;
        await this.validator.validate(request);
        return kind === 'command' ? this.commands.run(request, proceed) : proceed();
      };
      invocation = this.pipeline.prepare(handler, 'execute', step);
      this.#invocations.set(requestClass, invocation);
    }
    return invocation;
  }
}
