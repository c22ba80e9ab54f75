import { InboxStore, OutboxStore, UnitOfWork } from '@cqrs-outbox/core';
import { MikroORM } from '@mikro-orm/core';
import { getMikroORMToken } from '@mikro-orm/nestjs';
import { Module, type DynamicModule, type InjectionToken, type ModuleMetadata } from '@nestjs/common';
import { MikroOrmInboxStore } from './store/mikro-orm-inbox.store.js';
import { MikroOrmOutboxStore } from './store/mikro-orm-outbox.store.js';
import { OutboxConnection } from './store/outbox-connection.js';
import { MikroOrmUnitOfWork } from './unit-of-work/mikro-orm-unit-of-work.js';

/**
 * The store of `CqrsOutboxModule` on MikroORM: outbox and inbox tables in the application's own database, and its
 * transactions as units of work. Works with the drivers for MySQL, MariaDB, PostgreSQL and SQLite (libSQL).
 *
 * @example
 * CqrsOutboxModule.forRoot({ store: MikroOrmOutbox, ... })                          // the default MikroORM
 * CqrsOutboxModule.forRoot({ store: MikroOrmOutbox.forContext('billing'), ... })    // contextName: 'billing'
 */
@Module(storeOf(MikroORM))
export class MikroOrmOutbox {
  /** The store in the database of a named MikroORM, as in `MikroOrmModule.forRoot({ contextName })`. */
  static forContext(contextName: string): DynamicModule {
    return { module: NamedMikroOrmOutbox, ...storeOf(getMikroORMToken(contextName)) };
  }
}

/** Has no metadata of its own: that of {@link MikroOrmOutbox} would ask for the default MikroORM. */
@Module({})
class NamedMikroOrmOutbox {}

function storeOf(orm: InjectionToken): ModuleMetadata {
  return {
    providers: [
      {
        provide: OutboxConnection,
        useFactory: (mikroOrm: MikroORM) => new OutboxConnection(mikroOrm.em),
        inject: [orm],
      },
      {
        provide: UnitOfWork,
        useFactory: (mikroOrm: MikroORM, connection: OutboxConnection) =>
          new MikroOrmUnitOfWork(mikroOrm, connection),
        inject: [orm, OutboxConnection],
      },
      {
        provide: OutboxStore,
        useFactory: (connection: OutboxConnection) => new MikroOrmOutboxStore(connection),
        inject: [OutboxConnection],
      },
      {
        provide: InboxStore,
        useFactory: (mikroOrm: MikroORM, connection: OutboxConnection) =>
          new MikroOrmInboxStore(mikroOrm, connection),
        inject: [orm, OutboxConnection],
      },
    ],
    exports: [UnitOfWork, OutboxStore, InboxStore],
  };
}
