import { Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig, ModuleRef, ModulesContainer } from '@nestjs/core';
import { BootCheck } from './boot-check.js';
import { InboxBatches } from './consumers/batches/inbox-batches.js';
import { ConsumerTelemetry } from './consumers/consumer-telemetry.js';
import { DeadLetterRoute } from './consumers/dead-letter-route.js';
import { EventConsumer } from './consumers/event-consumer.js';
import { InboxStep } from './consumers/inbox-step.js';
import { InboxStore } from './consumers/inbox-store.js';
import { MessageAttempts } from './consumers/message-attempts.js';
import { MessageDecoder } from './consumers/message-decoder.js';
import { MessageDispatcher } from './consumers/message-dispatcher.js';
import { Readiness } from './consumers/readiness.js';
import { MODULE_FAULTS, MODULE_OPTIONS_TOKEN } from './cqrs-outbox.module-definition.js';
import type { CqrsOutboxOptions, ResolvedOptions } from './cqrs-outbox.options.js';
import { EventMap } from './handlers/event-map.js';
import { HandlersExplorer } from './handlers/handlers.explorer.js';
import { RequestMap } from './handlers/request-map.js';
import { Enhancers } from './mediators/enhancers.js';
import { EventMediator } from './mediators/event-mediator.js';
import { HandlerPipeline } from './mediators/handler-pipeline.js';
import { RequestMediator } from './mediators/request-mediator.js';
import { EventValidator, RequestValidator } from './mediators/validation.js';
import { Compression } from './messages/compression/compression.js';
import { Serializer } from './messages/serializer.js';
import { Serializers } from './messages/serializers.js';
import { ArchiveStore } from './operations/archive-store.js';
import { DeadLetterStore } from './operations/dead-letter-store.js';
import { DeadLetters } from './operations/dead-letters.js';
import { InboxDeadLetters } from './operations/inbox-dead-letters.js';
import { InboxLetterRetry } from './operations/inbox-letter-retry.js';
import { OutboxArchive } from './operations/outbox-archive.js';
import { OutboxHealthIndicator } from './operations/outbox-health.indicator.js';
import { OutboxStatus } from './operations/outbox-status.js';
import { StatusStore } from './operations/status-store.js';
import { EventEmitter } from './outbox/event-emitter.js';
import { EventEncoder } from './outbox/event-encoder.js';
import { OutboxStore } from './outbox/outbox-store.js';
import { Outbox } from './outbox/outbox.js';
import { ProcessHints } from './relay/hints/process-hints.js';
import { LeaseStore } from './relay/leases/lease-store.js';
import { OutboxProducer } from './relay/outbox-producer.js';
import { OutboxRelay } from './relay/outbox-relay.js';
import { WakeUp } from './relay/wake-up.js';
import { resolveOptions } from './resolve-options.js';
import { Tracing } from './tracing/tracing.js';
import { Transports } from './transports/transports.js';
import { CommandUnitOfWork } from './unit-of-work/command-unit-of-work.js';
import { CommitStep } from './unit-of-work/commit-step.js';
import { ExecutionScope } from './unit-of-work/execution-scope.js';
import { UnitOfWork } from './unit-of-work/unit-of-work.js';

/**
 * Makes the parts of an application's outbox of each other, in the order of a message's way. Nest gives it what the user
 * or the store provides, and hands out those of its parts that are public. To have it resolve each part by itself took most
 * of what the module adds to an application's boot.
 */
@Injectable()
export class CompositionRoot {
  readonly options: ResolvedOptions;
  readonly transports: Transports;
  readonly bootCheck: BootCheck;

  readonly requests = new RequestMap();
  readonly events = new EventMap();
  readonly scope = new ExecutionScope();
  readonly requestMediator: RequestMediator;
  readonly eventMediator: EventMediator;

  readonly outbox: Outbox;
  readonly emitter: EventEmitter;

  readonly wakeUp = new WakeUp();
  readonly relay: OutboxRelay;
  readonly producer: OutboxProducer;
  readonly hints: ProcessHints;

  readonly readiness = new Readiness();
  readonly consumer: EventConsumer;

  readonly deadLetters: DeadLetters;
  readonly inboxDeadLetters: InboxDeadLetters;
  readonly archive: OutboxArchive;
  readonly status: OutboxStatus;
  readonly health: OutboxHealthIndicator;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) given: CqrsOutboxOptions,
    @Inject(MODULE_FAULTS) moduleFaults: readonly string[],
    moduleRef: ModuleRef,
    modules: ModulesContainer,
    applicationConfig: ApplicationConfig,
    serializer: Serializer,
    unitOfWork: UnitOfWork,
    outboxStore: OutboxStore,
    leaseStore: LeaseStore,
    inboxStore: InboxStore,
    deadLetterStore: DeadLetterStore,
    archiveStore: ArchiveStore,
    statusStore: StatusStore,
  ) {
    const { requests, events, scope, wakeUp, readiness } = this;
    const options = (this.options = resolveOptions(given));
    const tracing = new Tracing(options);
    const transports = (this.transports = new Transports(options, modules, tracing));
    const compression = new Compression(options);
    const eventValidator = new EventValidator();

    const enhancers = new Enhancers(moduleRef, modules, applicationConfig);
    const pipeline = new HandlerPipeline(moduleRef, enhancers);
    const commands = new CommandUnitOfWork(unitOfWork, scope);
    const validator = new RequestValidator(options);
    this.requestMediator = new RequestMediator(
      requests,
      pipeline,
      validator,
      unitOfWork,
      commands,
      scope,
      tracing,
    );
    const { batch, handlerTimeoutMs } = options.consumer;
    const batches = batch ? new InboxBatches(unitOfWork, inboxStore, batch, handlerTimeoutMs) : undefined;
    const inbox = new InboxStep(unitOfWork, inboxStore, batches, options);
    const eventMediator = new EventMediator(events, pipeline, inbox, unitOfWork, scope, tracing);
    this.eventMediator = eventMediator;

    const encoder = new EventEncoder(
      options,
      events,
      eventValidator,
      serializer,
      compression,
      scope,
      transports,
      tracing,
    );
    this.outbox = new Outbox(unitOfWork, encoder, scope);
    this.emitter = new EventEmitter(encoder, transports);
    // Before any provider's onModuleInit, which may already append.
    unitOfWork.setHooks(new CommitStep(encoder, eventMediator, wakeUp, scope));

    const relay = (this.relay = new OutboxRelay(options, outboxStore, leaseStore, archiveStore, transports));
    this.producer = new OutboxProducer(
      options,
      modules,
      relay,
      wakeUp,
      archiveStore,
      inboxStore,
      deadLetterStore,
    );
    this.hints = new ProcessHints(options, modules, relay, wakeUp);

    const serializers = new Serializers(options, serializer);
    const decoder = new MessageDecoder(options, events, compression, serializers, eventValidator);
    const dispatcher = new MessageDispatcher(decoder, eventMediator, inbox, tracing);
    const telemetry = new ConsumerTelemetry(options);
    const route = new DeadLetterRoute(options, transports, inboxStore);
    const attempts = new MessageAttempts(options, dispatcher, route, telemetry, inboxStore);
    this.consumer = new EventConsumer(options, attempts, telemetry, readiness);

    this.deadLetters = new DeadLetters(deadLetterStore, relay);
    const letterRetry = new InboxLetterRetry(inboxStore, decoder, events, dispatcher);
    this.inboxDeadLetters = new InboxDeadLetters(inboxStore, letterRetry, unitOfWork);
    this.archive = new OutboxArchive(options, archiveStore, relay);
    this.status = new OutboxStatus(options, statusStore, leaseStore, relay);
    this.health = new OutboxHealthIndicator(this.status);

    const explorer = new HandlersExplorer(modules, requests, events);
    this.bootCheck = new BootCheck(
      options,
      moduleFaults,
      modules,
      explorer,
      events,
      enhancers,
      transports,
      this.producer,
      this.hints,
      outboxStore,
      tracing,
    );
  }
}
