import { ConfigurableModuleBuilder, type DynamicModule, type Type } from '@nestjs/common';
import type { CqrsOutboxOptions } from './cqrs-outbox.options.js';
import { CONSUMED_TOPICS, topicsOf } from './consumers/consumed-topics.js';
import { controllerFor } from './consumers/consumed-topics.controller.js';
import { MissingStore } from './missing-store.js';

/** What `forRoot` and `forRootAsync` take beside the options: they shape the module itself. */
export interface CqrsOutboxModuleExtras {
  /**
   * A module that provides and exports the ports of a store (`UnitOfWork`, `OutboxStore`, `LeaseStore`, `InboxStore`,
   * `DeadLetterStore`, `ArchiveStore`, `StatusStore`): `MikroOrmOutbox` of `@cqrs-outbox/mikro-orm`, or `InMemoryStore` of
   * `@cqrs-outbox/testing`.
   */
  store?: Type | DynamicModule;
  /**
   * The topics whose messages go to the `@EventHandler`s, on whatever microservice the application connects: no
   * controller is needed then. On RabbitMQ, the topic that its server's {@link RabbitMqEventDeserializer} names.
   * @defaultValue none: controllers call `EventConsumer.consume`
   */
  consume?: readonly string[];
  /**
   * Whether `Outbox`, `RequestMediator` and the rest can be injected in every module.
   * @defaultValue true
   */
  isGlobal?: boolean;
}

const extras: CqrsOutboxModuleExtras = { store: undefined, consume: undefined, isGlobal: true };

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<CqrsOutboxOptions>({ moduleName: 'CqrsOutbox' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createCqrsOutboxOptions')
    .setExtras(extras, (definition, { store = MissingStore, consume, isGlobal = true }) => {
      const topics = topicsOf(consume);
      return {
        ...definition,
        global: isGlobal,
        imports: [...(definition.imports ?? []), store],
        controllers: [
          ...(definition.controllers ?? []),
          ...(topics.length > 0 ? [controllerFor(topics)] : []),
        ],
        providers: [...(definition.providers ?? []), { provide: CONSUMED_TOPICS, useValue: consume }],
      };
    })
    .build();
