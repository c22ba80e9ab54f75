import {
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { BootCheck } from './boot-check.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './cqrs-outbox.module-definition.js';
import { RESOLVED_OPTIONS, type CqrsOutboxOptions, type ResolvedOptions } from './cqrs-outbox.options.js';
import { ConsumerTelemetry } from './consumers/consumer-telemetry.js';
import { DeadLetterRoute } from './consumers/dead-letter-route.js';
import { EventConsumer } from './consumers/event-consumer.js';
import { InboxBatches } from './consumers/batches/inbox-batches.js';
import { InboxStep } from './consumers/inbox-step.js';
import { MessageAttempts } from './consumers/message-attempts.js';
import { MessageDecoder } from './consumers/message-decoder.js';
import { MessageDispatcher } from './consumers/message-dispatcher.js';
import { Readiness } from './consumers/readiness.js';
import { EventMap } from './handlers/event-map.js';
import { HandlersExplorer } from './handlers/handlers.explorer.js';
import { RequestMap } from './handlers/request-map.js';
import { Enhancers } from './mediators/enhancers.js';
import { EventMediator } from './mediators/event-mediator.js';
import { HandlerPipeline } from './mediators/handler-pipeline.js';
import { RequestMediator } from './mediators/request-mediator.js';
import { EventValidator, RequestValidator } from './mediators/validation.js';
import { Compression } from './messages/compression/compression.js';
import { JsonSerializer, Serializer } from './messages/serializer.js';
import { Serializers } from './messages/serializers.js';
import { DeadLetters } from './operations/dead-letters.js';
import { InboxDeadLetters } from './operations/inbox-dead-letters.js';
import { InboxLetterRetry } from './operations/inbox-letter-retry.js';
import { OutboxArchive } from './operations/outbox-archive.js';
import { OutboxHealthIndicator } from './operations/outbox-health.indicator.js';
import { OutboxStatus } from './operations/outbox-status.js';
import { EventEmitter } from './outbox/event-emitter.js';
import { EventEncoder } from './outbox/event-encoder.js';
import { Outbox } from './outbox/outbox.js';
import { ProcessHints } from './relay/hints/process-hints.js';
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
 * CQRS mediators and a transactional outbox. Import it once, by `forRoot` or `forRootAsync`, beside the module of the
 * store's ORM and `ScheduleModule.forRoot()`.
 *
 * The boot stops with one {@link ConfigurationError} that lists every fault of options, handlers and transports; a
 * broker or a database that can't be reached does not stop it.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: RESOLVED_OPTIONS, useFactory: resolveOptions, inject: [MODULE_OPTIONS_TOKEN] },
    {
      provide: Serializer,
      useFactory: (options: Partial<CqrsOutboxOptions> | undefined) =>
        options?.serializer ?? new JsonSerializer(),
      inject: [MODULE_OPTIONS_TOKEN],
    },
    Compression,
    Serializers,
    Tracing,
    RequestMap,
    EventMap,
    HandlersExplorer,
    Enhancers,
    HandlerPipeline,
    RequestValidator,
    EventValidator,
    RequestMediator,
    EventMediator,
    ExecutionScope,
    CommandUnitOfWork,
    CommitStep,
    EventEncoder,
    Outbox,
    EventEmitter,
    Transports,
    WakeUp,
    OutboxRelay,
    OutboxProducer,
    ProcessHints,
    DeadLetters,
    InboxLetterRetry,
    InboxDeadLetters,
    OutboxArchive,
    OutboxStatus,
    OutboxHealthIndicator,
    InboxBatches,
    InboxStep,
    MessageDecoder,
    MessageDispatcher,
    DeadLetterRoute,
    ConsumerTelemetry,
    MessageAttempts,
    Readiness,
    EventConsumer,
    BootCheck,
  ],
  exports: [
    RequestMediator,
    EventMediator,
    Outbox,
    EventEmitter,
    EventConsumer,
    OutboxRelay,
    DeadLetters,
    InboxDeadLetters,
    OutboxArchive,
    OutboxStatus,
    OutboxHealthIndicator,
    RequestMap,
    EventMap,
  ],
})
export class CqrsOutboxModule
  extends ConfigurableModuleClass
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  /** Configures the module with options that are known when the application's modules are defined. */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Configures the module with options from a factory (`useFactory` with `inject` and `imports`), or from a class with
   * a method `createCqrsOutboxOptions` (`useClass`, `useExisting`). `store`, `consume` and `isGlobal` stand beside it,
   * since they shape the module itself.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly bootCheck: BootCheck,
    unitOfWork: UnitOfWork,
    commitStep: CommitStep,
    private readonly producer: OutboxProducer,
    private readonly hints: ProcessHints,
    private readonly transports: Transports,
    private readonly readiness: Readiness,
  ) {
    super();
    // Before any provider's onModuleInit, which may already append.
    unitOfWork.setHooks(commitStep);
  }

  /** Checks everything, with all faults in one error. */
  async onModuleInit(): Promise<void> {
    await this.bootCheck.run();
    this.hints.announce();
  }

  /** Runs the hooks of `onStartup`, lets consumers begin, and starts the relay. */
  async onApplicationBootstrap(): Promise<void> {
    for (const hook of this.options.onStartup) await hook();
    this.readiness.open();
    this.producer.start();
    this.hints.listen();
  }

  /** Drains, while the database and the clients are still open: those close in `onApplicationShutdown`. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([this.hints.stopListening(), this.producer.stop()]);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.hints.close(), this.transports.close()]);
  }
}
