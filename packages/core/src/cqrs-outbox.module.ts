import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { CompositionRoot } from './composition-root.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './cqrs-outbox.module-definition.js';
import type { CqrsOutboxOptions } from './cqrs-outbox.options.js';
import { EventConsumer } from './consumers/event-consumer.js';
import { EventMap } from './handlers/event-map.js';
import { RequestMap } from './handlers/request-map.js';
import { EventMediator } from './mediators/event-mediator.js';
import { RequestMediator } from './mediators/request-mediator.js';
import { JsonSerializer, Serializer } from './messages/serializer.js';
import { DeadLetters } from './operations/dead-letters.js';
import { InboxDeadLetters } from './operations/inbox-dead-letters.js';
import { OutboxArchive } from './operations/outbox-archive.js';
import { OutboxHealthIndicator } from './operations/outbox-health.indicator.js';
import { OutboxStatus } from './operations/outbox-status.js';
import { EventEmitter } from './outbox/event-emitter.js';
import { Outbox } from './outbox/outbox.js';
import { OutboxRelay } from './relay/outbox-relay.js';
import { WakeUp } from './relay/wake-up.js';
import { ExecutionScope } from './unit-of-work/execution-scope.js';

/** One of the parts, as a provider of its own. */
const part = <T>(token: Type<T>, of: (root: CompositionRoot) => T): FactoryProvider<T> => ({
  provide: token,
  useFactory: of,
  inject: [CompositionRoot],
});

/** What users inject. */
const EXPORTED = [
  part(RequestMediator, (root) => root.requestMediator),
  part(EventMediator, (root) => root.eventMediator),
  part(Outbox, (root) => root.outbox),
  part(EventEmitter, (root) => root.emitter),
  part(EventConsumer, (root) => root.consumer),
  part(OutboxRelay, (root) => root.relay),
  part(DeadLetters, (root) => root.deadLetters),
  part(InboxDeadLetters, (root) => root.inboxDeadLetters),
  part(OutboxArchive, (root) => root.archive),
  part(OutboxStatus, (root) => root.status),
  part(OutboxHealthIndicator, (root) => root.health),
  part(RequestMap, (root) => root.requests),
  part(EventMap, (root) => root.events),
];

/**
 * CQRS mediators and a transactional outbox. Import it once, by `forRoot` or `forRootAsync`, beside the module of the
 * store's ORM and `ScheduleModule.forRoot()`.
 *
 * The boot stops with one {@link ConfigurationError} that lists every fault of options, handlers and transports; a
 * broker or a database that can't be reached does not stop it.
 */
@Module({
  providers: [
    {
      provide: Serializer,
      useFactory: (options: Partial<CqrsOutboxOptions> | undefined) =>
        options?.serializer ?? new JsonSerializer(),
      inject: [MODULE_OPTIONS_TOKEN],
    },
    CompositionRoot,
    ...EXPORTED,
    // For the testing package, and for interceptors of `forRoot`.
    part(WakeUp, (root) => root.wakeUp),
    part(ExecutionScope, (root) => root.scope),
  ],
  exports: EXPORTED.map(({ provide }) => provide),
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

  #checking: Promise<void> | undefined;
  #starting: Promise<void> | undefined;

  constructor(private readonly root: CompositionRoot) {
    super();
  }

  /** Checks everything, with all faults in one error. By `init()` of a microservice Nest calls this and the next hook twice. */
  onModuleInit(): Promise<void> {
    return (this.#checking ??= this.check());
  }

  /** Runs the hooks of `onStartup`, lets consumers begin, and starts the relay. */
  onApplicationBootstrap(): Promise<void> {
    return (this.#starting ??= this.start());
  }

  /** Drains, while the database and the clients are still open: those close in `onApplicationShutdown`. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([this.root.hints.stopListening(), this.root.producer.stop()]);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.root.hints.close(), this.root.transports.close()]);
  }

  private async check(): Promise<void> {
    await this.root.bootCheck.run();
    this.root.hints.announce();
  }

  private async start(): Promise<void> {
    for (const hook of this.root.options.onStartup) await hook();
    this.root.readiness.open();
    this.root.producer.start();
    this.root.hints.listen();
  }
}
