import { ConfigurableModuleBuilder, type DynamicModule, type Type } from '@nestjs/common';
import type { CqrsOutboxOptions } from './cqrs-outbox.options.js';
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
   * Whether `Outbox`, `RequestMediator` and the rest can be injected in every module.
   * @defaultValue true
   */
  isGlobal?: boolean;
}

const extras: CqrsOutboxModuleExtras = { store: undefined, isGlobal: true };

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<CqrsOutboxOptions>({ moduleName: 'CqrsOutbox' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createCqrsOutboxOptions')
    .setExtras(extras, (definition, { store = MissingStore, isGlobal = true }) => ({
      ...definition,
      global: isGlobal,
      imports: [...(definition.imports ?? []), store],
    }))
    .build();
