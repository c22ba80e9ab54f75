import { Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { EventHandlingError, messageOf } from '../cqrs-outbox.error.js';
import type { InboxStep } from '../consumers/inbox-step.js';
import type { EventMap } from '../handlers/event-map.js';
import type { EventHandlerReference } from '../handlers/handler-reference.js';
import type { HandlingPhase } from '../handlers/handling-phase.js';
import type { HandlesEvent } from '../handlers/request-handler.js';
import { DomainEvent, type EventClass } from '../messages/event.js';
import { eventDeclarationOf } from '../messages/integration-event.decorator.js';
import type { MessageContext } from '../messages/message-context.js';
import type { Tracing } from '../tracing/tracing.js';
import { checkDomainEventLimits } from '../unit-of-work/domain-event-limits.js';
import type { ExecutionScope, Scope } from '../unit-of-work/execution-scope.js';
import { RecordedEvent } from '../unit-of-work/recorded-event.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import type { HandlerPipeline, InnermostStep, Invocation } from './handler-pipeline.js';

const HANDLER_METHODS = ['handle', 'handleTombstone'] as const;
type HandlerMethod = (typeof HANDLER_METHODS)[number];

/** Hands an event to its handlers. */
export class EventMediator {
  readonly #logger = new Logger(EventMediator.name);
  readonly #invocations = new Map<EventHandlerReference, Map<HandlerMethod, Invocation>>();
  readonly #bare = new Map<EventHandlerReference, boolean>();
  /** What a handler threw, by the context of its message, of which handlers run one after another. */
  readonly #failures = new WeakMap<MessageContext, { error: unknown }>();

  constructor(
    private readonly events: EventMap,
    private readonly pipeline: HandlerPipeline,
    private readonly inbox: InboxStep,
    private readonly unitOfWork: UnitOfWork,
    private readonly scope: ExecutionScope,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Runs every handler of the event, one after another, each inside Nest's enhancers.
   *
   * - A `DomainEvent`: in the current transaction. The first failure is thrown and the rest is not run. Handlers with
   *   the phase `after-commit` run when that transaction has committed, or at once where none is open.
   * - Any other: each handler in a transaction of its own with its inbox row, so that a handler that has handled this
   *   message already is skipped. A failing one does not stop its siblings. Inside an open transaction of the store it
   *   is a savepoint of that one instead, and commits with it.
   *
   * @param context of the message that carried the event; left out, one is made with a new message id
   * @throws {@link EventHandlingError} when handlers of an outbound event failed
   */
  async send(event: object, context?: MessageContext): Promise<void> {
    if (event instanceof DomainEvent) await this.sendDomainEvent(event);
    else await this.handleMessage(event.constructor, event, context ?? contextFor(event, this.scope.current));
  }

  /** Runs the `handleTombstone` of the handlers that have one. Transactions and errors as in {@link send}. */
  async sendTombstone(eventClass: EventClass, context: MessageContext): Promise<void> {
    await this.handleMessage(eventClass, null, context);
  }

  /** @internal */
  hasHandlers(event: DomainEvent, phase: HandlingPhase): boolean {
    return this.events.handlersOf(event.constructor, phase).length > 0;
  }

  /** Runs the handlers of a domain event that are a part of the transaction. @internal */
  async handleBeforeCommit(event: DomainEvent): Promise<void> {
    const context = contextFor(event, this.scope.current);
    for (const handler of this.events.handlersOf(event.constructor, 'before-commit')) {
      await this.invoke(handler, event, context, (proceed) => proceed());
    }
  }

  /**
   * Runs the other handlers of a domain event, each in a context of its own. What they throw is logged: the transaction
   * has committed, and whoever waits for it must not take it for undone.
   *
   * @internal
   */
  async handleAfterCommit(
    recorded: RecordedEvent,
    runInContext: (work: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { event } = recorded;
    const context = contextFor(event, this.scope.current);
    for (const handler of this.events.handlersOf(event.constructor, 'after-commit')) {
      try {
        await this.scope.run({ cause: recorded, readOnly: undefined }, () =>
          runInContext(() => this.invoke(handler, event, context, (proceed) => proceed())),
        );
      } catch (error) {
        this.#logger.error(
          `${handler.name} has failed to handle ${event.constructor.name} after the commit, which stays: ` +
            messageOf(error),
          error instanceof Error ? error.stack : undefined,
        );
      }
    }
  }

  private async sendDomainEvent(event: DomainEvent): Promise<void> {
    await this.handleBeforeCommit(event);
    if (!this.hasHandlers(event, 'after-commit')) return;
    const recorded = new RecordedEvent(event, this.scope.current.cause, 'after-commit');
    const pending = this.unitOfWork.current();
    if (pending) {
      pending.addDomainEvent(recorded);
      return;
    }
    checkDomainEventLimits(recorded, 0);
    await this.handleAfterCommit(recorded, (work) => this.unitOfWork.runInContext(work));
  }

  private async handleMessage(
    eventClass: unknown,
    event: object | null,
    context: MessageContext,
  ): Promise<void> {
    const { correlationId, messageId: causationId } = context;
    const failures: { handler: string; error: unknown }[] = [];
    for (const handler of this.events.handlersOf(eventClass)) {
      try {
        const work = () => this.invoke(handler, event, context, this.inboxStepOf(handler));
        await this.scope.run({ correlationId, causationId }, () =>
          this.tracing.handler(handler.name, () => this.inContext(handler, work)),
        );
      } catch (error) {
        failures.push({ handler: handler.name, error });
      }
    }
    if (failures.length > 0) throw new EventHandlingError(context.name, failures);
  }

  /** Enhancers need a persistence context; a handler alone has that of its transaction, where none is open around it. */
  private inContext(handler: EventHandlerReference, work: () => Promise<void>): Promise<void> {
    return this.isBare(handler) && !this.unitOfWork.hasContext ? work() : this.unitOfWork.runInContext(work);
  }

  private isBare(handler: EventHandlerReference): boolean {
    let isBare = this.#bare.get(handler);
    if (isBare === undefined) {
      isBare = this.pipeline.isBare(handler, HANDLER_METHODS);
      this.#bare.set(handler, isBare);
    }
    return isBare;
  }

  private inboxStepOf({ name }: EventHandlerReference): InnermostStep {
    return (proceed, args) => this.inbox.run(args.at(-1) as MessageContext, name, proceed);
  }

  /**
   * An exception filter may report or translate a failure, but not make it a success: the message would be
   * acknowledged, or the transaction committed, without what the handler should have done.
   */
  private async invoke(
    handler: EventHandlerReference,
    event: object | null,
    context: MessageContext,
    step: InnermostStep,
  ): Promise<void> {
    const { prototype } = handler.handlerClass as { prototype: HandlesEvent<object> };
    if (event === null && !prototype.handleTombstone) return;
    const [method, args] =
      event === null ? (['handleTombstone', [context]] as const) : (['handle', [event, context]] as const);
    this.#failures.delete(context);
    await this.invocationOf(handler, method, step)(...args);
    const failure = this.#failures.get(context);
    if (failure) throw failure.error;
  }

  private invocationOf(
    handler: EventHandlerReference,
    method: HandlerMethod,
    step: InnermostStep,
  ): Invocation {
    const invocations = this.#invocations.get(handler) ?? new Map<HandlerMethod, Invocation>();
    this.#invocations.set(handler, invocations);
    const invocation =
      invocations.get(method) ?? this.pipeline.prepare(handler, method, this.remembering(step));
    invocations.set(method, invocation);
    return invocation;
  }

  /** Notes how the last try of the step ended: an interceptor may try again. */
  private remembering(step: InnermostStep): InnermostStep {
    return async (proceed, args) => {
      const context = args.at(-1) as MessageContext;
      try {
        const result = await step(proceed, args);
        this.#failures.delete(context);
        return result;
      } catch (error) {
        this.#failures.set(context, { error });
        throw error;
      }
    };
  }
}

/** The context of an event that came by no message: it belongs to what recorded or sent it. */
function contextFor(event: object, { correlationId, causationId }: Scope): MessageContext {
  const declaration = eventDeclarationOf(event.constructor);
  const messageId = uuidv7();
  return {
    messageId,
    name: declaration?.name ?? event.constructor.name,
    version: declaration?.version ?? 1,
    source: 'in process',
    topic: declaration?.topic ?? '',
    key: messageId,
    occurredAt: new Date(),
    correlationId: correlationId ?? messageId,
    causationId,
    headers: {},
    coordinates: 'in process',
  };
}
