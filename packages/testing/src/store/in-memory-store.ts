import {
  ArchiveStore,
  DeadLetterStore,
  InboxStore,
  LeaseStore,
  OutboxStore,
  StatusStore,
  UnitOfWork,
} from '@cqrs-outbox/core';
import { Module, type DynamicModule, type ModuleMetadata, type Provider, type Type } from '@nestjs/common';
import { TestClock, type Clock } from '../clock/clock.js';
import { TestOutbox } from '../helpers/test-outbox.js';
import { InMemoryArchiveStore } from './in-memory-archive-store.js';
import { InMemoryDatabase } from './in-memory-database.js';
import { InMemoryDeadLetterStore } from './in-memory-dead-letter-store.js';
import { InMemoryInboxStore } from './in-memory-inbox-store.js';
import { InMemoryLeaseStore } from './in-memory-lease-store.js';
import { InMemoryOutboxStore } from './in-memory-outbox-store.js';
import { InMemoryStatusStore } from './in-memory-status-store.js';
import { InMemoryUnitOfWork } from './in-memory-unit-of-work.js';

/** Each port, and the class behind it, by which tests ask for what is more than the port. */
const PORTS = [
  [UnitOfWork, InMemoryUnitOfWork],
  [OutboxStore, InMemoryOutboxStore],
  [LeaseStore, InMemoryLeaseStore],
  [DeadLetterStore, InMemoryDeadLetterStore],
  [ArchiveStore, InMemoryArchiveStore],
  [StatusStore, InMemoryStatusStore],
  [InboxStore, InMemoryInboxStore],
] as const;

/**
 * The store of `CqrsOutboxModule` without any database, for tests. Each application has its own; nothing outlives it.
 *
 * Retries, delayed entries and leases go by the application's {@link TestClock}, which stands still: advance it, or let
 * {@link drain} do so.
 *
 * @example
 * CqrsOutboxModule.forRoot({ store: InMemoryStore, transport, source: 'test' })
 * app.get(InMemoryOutboxStore).entries()          // what waits
 * app.get(InMemoryUnitOfWork).register(meeting)   // there is no ORM that knows the aggregates
 * app.get(TestClock).advance(5_000)               // retries are due
 */
@Module(storeWith(undefined))
export class InMemoryStore {
  /** The store with a clock of yours; `InMemoryStore.withClock(Date)` lets time pass as it does. */
  static withClock(clock: Clock): DynamicModule {
    return { module: ClockedInMemoryStore, ...storeWith(clock) };
  }
}

/** Has no metadata of its own: that of {@link InMemoryStore} would be merged in, with its clock. */
@Module({})
class ClockedInMemoryStore {}

function storeWith(given: Clock | undefined): ModuleMetadata {
  const clocks = given
    ? [{ provide: InMemoryDatabase, useFactory: () => new InMemoryDatabase(given) }]
    : [
        { provide: TestClock, useFactory: () => new TestClock() },
        {
          provide: InMemoryDatabase,
          useFactory: (clock: TestClock) => new InMemoryDatabase(clock),
          inject: [TestClock],
        },
      ];
  return {
    providers: [
      ...clocks,
      TestOutbox,
      onDatabase(InMemoryUnitOfWork),
      onDatabase(InMemoryOutboxStore),
      onDatabase(InMemoryLeaseStore),
      onDatabase(InMemoryDeadLetterStore),
      onDatabase(InMemoryArchiveStore),
      onDatabase(InMemoryStatusStore),
      {
        provide: InMemoryInboxStore,
        useFactory: (database: InMemoryDatabase, unitOfWork: InMemoryUnitOfWork) =>
          new InMemoryInboxStore(database, unitOfWork),
        inject: [InMemoryDatabase, InMemoryUnitOfWork],
      },
      ...PORTS.map(([port, adapter]) => ({ provide: port, useExisting: adapter })),
    ],
    exports: [...PORTS.flat(), TestOutbox, ...(given ? [] : [TestClock])],
  };
}

function onDatabase(store: new (database: InMemoryDatabase) => unknown): Provider {
  return {
    provide: store as Type,
    useFactory: (database: InMemoryDatabase) => new store(database),
    inject: [InMemoryDatabase],
  };
}
