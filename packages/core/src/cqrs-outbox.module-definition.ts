import { ConfigurableModuleBuilder, type DynamicModule, type Type } from '@nestjs/common';
import { consumeFaults, eventsController } from './consumers/events.controller.js';
import type { CqrsOutboxOptions } from './cqrs-outbox.options.js';
import { MissingStore } from './missing-store.js';

/** What `forRoot` and `forRootAsync` take beside the options: they shape the module itself. */
export interface CqrsOutboxModuleExtras {
  /**
   * A module that provides and exports the ports of a store (`UnitOfWork`, `OutboxStore`, `LeaseStore`, `InboxStore`,
   * `DeadLetterStore`, `ArchiveStore`, `StatusStore`, and `CommitHints` where it has them): `MikroOrmOutbox` of
   * `@cqrs-outbox/mikro-orm`, or `InMemoryStore` of `@cqrs-outbox/testing`.
   */
  store?: Type | DynamicModule;
  /**
   * The topics whose messages go to the `@EventHandler`s: what an `@EventPattern(topic)` controller names, which returns
   * `EventConsumer.consume(payload, context)`. Such a controller is made of it, for every microservice that the
   * application connects. It has the application's guards, interceptors and filters, where the microservice inherits them
   * (`inheritAppConfig`), and no pipes. Write the controller yourself to give it enhancers of its own, or for one transport of
   * several; never both for one topic.
   *
   * On RabbitMQ this is the name that `RabbitMqEventDeserializer` was given.
   * @defaultValue none: the application consumes nothing by itself
   */
  consume?: readonly string[];
  /**
   * Whether `Outbox`, `RequestMediator` and the rest can be injected in every module.
   * @defaultValue true
   */
  isGlobal?: boolean;
}

/** Injection token of what is wrong with the extras; reported at boot, together with all other faults. */
export const MODULE_FAULTS = Symbol('cqrs-outbox:module-faults');

const NO_STORE = 'store: give a store module, such as MikroOrmOutbox of @cqrs-outbox/mikro-orm';

const extras: CqrsOutboxModuleExtras = { store: undefined, consume: undefined, isGlobal: true };

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<CqrsOutboxOptions>({ moduleName: 'CqrsOutbox' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createCqrsOutboxOptions')
    .setExtras(extras, (definition, { store, consume, isGlobal = true }) => {
      const wrongTopics = consume === undefined ? [] : consumeFaults(consume);
      const faults = [...wrongTopics, ...(store ? [] : [NO_STORE])];
      return {
        ...definition,
        global: isGlobal,
        imports: [...(definition.imports ?? []), store ?? MissingStore],
        controllers: consume && wrongTopics.length === 0 ? [eventsController(consume)] : [],
        providers: [...(definition.providers ?? []), { provide: MODULE_FAULTS, useValue: faults }],
      };
    })
    .build();
