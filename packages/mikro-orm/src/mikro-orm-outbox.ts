import {
  ArchiveStore,
  CommitHints,
  DeadLetterStore,
  InboxStore,
  LeaseStore,
  OutboxStore,
  StatusStore,
  UnitOfWork,
} from '@cqrs-outbox/core';
import { MikroORM } from '@mikro-orm/core';
import { getMikroORMToken } from '@mikro-orm/nestjs';
import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type InjectionToken,
  type ModuleMetadata,
} from '@nestjs/common';
import { NotifyHints } from './hints/notify-hints.js';
import { MikroOrmInboxStore } from './store/inbox/mikro-orm-inbox.store.js';
import { MikroOrmLeaseStore } from './store/leases/mikro-orm-lease.store.js';
import { MikroOrmArchiveStore } from './store/operations/mikro-orm-archive.store.js';
import { MikroOrmDeadLetterStore } from './store/operations/mikro-orm-dead-letter.store.js';
import { MikroOrmStatusStore } from './store/operations/mikro-orm-status.store.js';
import { MikroOrmOutboxStore } from './store/outbox/mikro-orm-outbox.store.js';
import { OutboxConnection } from './store/outbox-connection.js';
import { MikroOrmUnitOfWork } from './unit-of-work/mikro-orm-unit-of-work.js';

/** Those that need no more than the connection. */
const STORES: FactoryProvider[] = [
  [OutboxStore, MikroOrmOutboxStore] as const,
  [LeaseStore, MikroOrmLeaseStore] as const,
  [DeadLetterStore, MikroOrmDeadLetterStore] as const,
  [ArchiveStore, MikroOrmArchiveStore] as const,
  [StatusStore, MikroOrmStatusStore] as const,
  [CommitHints, NotifyHints] as const,
].map(([provide, Store]) => ({
  provide,
  useFactory: (connection: OutboxConnection) => new Store(connection),
  inject: [OutboxConnection],
}));

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
        provide: InboxStore,
        useFactory: (mikroOrm: MikroORM, connection: OutboxConnection) =>
          new MikroOrmInboxStore(mikroOrm, connection),
        inject: [orm, OutboxConnection],
      },
      ...STORES,
    ],
    exports: [
      UnitOfWork,
      InboxStore,
      OutboxStore,
      LeaseStore,
      DeadLetterStore,
      ArchiveStore,
      StatusStore,
      CommitHints,
    ],
  };
}
