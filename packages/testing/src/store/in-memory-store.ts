import { InboxStore, OutboxStore, UnitOfWork } from '@cqrs-outbox/core';
import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import { TestClock, type Clock } from '../clock/clock.js';
import { InMemoryDatabase } from './in-memory-database.js';
import { InMemoryInboxStore } from './in-memory-inbox-store.js';
import { InMemoryOutboxStore } from './in-memory-outbox-store.js';
import { InMemoryUnitOfWork } from './in-memory-unit-of-work.js';

/**
 * The store of `CqrsOutboxModule` without any database, for tests. Each application has its own; nothing outlives it.
 *
 * Retries are due by the application's {@link TestClock}, which stands still: advance it, or let {@link drain} do so.
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
      {
        provide: InMemoryUnitOfWork,
        useFactory: (database: InMemoryDatabase) => new InMemoryUnitOfWork(database),
        inject: [InMemoryDatabase],
      },
      {
        provide: InMemoryOutboxStore,
        useFactory: (database: InMemoryDatabase) => new InMemoryOutboxStore(database),
        inject: [InMemoryDatabase],
      },
      {
        provide: InMemoryInboxStore,
        useFactory: (database: InMemoryDatabase, unitOfWork: InMemoryUnitOfWork) =>
          new InMemoryInboxStore(database, unitOfWork),
        inject: [InMemoryDatabase, InMemoryUnitOfWork],
      },
      { provide: UnitOfWork, useExisting: InMemoryUnitOfWork },
      { provide: OutboxStore, useExisting: InMemoryOutboxStore },
      { provide: InboxStore, useExisting: InMemoryInboxStore },
    ],
    exports: [
      UnitOfWork,
      OutboxStore,
      InboxStore,
      InMemoryUnitOfWork,
      InMemoryOutboxStore,
      InMemoryInboxStore,
      ...(given ? [] : [TestClock]),
    ],
  };
}
