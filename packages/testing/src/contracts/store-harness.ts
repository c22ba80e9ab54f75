import type {
  AggregateRoot,
  AnyEvent,
  ArchiveStore,
  DeadLetterStore,
  InboxStore,
  LeaseStore,
  OutboxStore,
  RejectedMessage,
  StatusStore,
  UnitOfWork,
} from '@cqrs-outbox/core';

/** What the author of a store supplies, to run {@link unitOfWorkContract} and the other suites of stores on it. */
export interface StoreHarness {
  readonly can: StoreAbilities;
  /** Opens the store on empty tables that nobody else uses. */
  open(): Promise<StoreFixture>;
}

/** Promises that not every database can make. */
export interface StoreAbilities {
  /** Several transactions can be open at the same time: not so with the one connection of an embedded database. */
  readonly openTransactionsAtOnce: boolean;
  /** A transaction that has changed a row makes others that change it wait for its end. */
  readonly lockRows: boolean;
}

/** An open store, and some business data beside it. */
export interface StoreFixture {
  readonly unitOfWork: UnitOfWork;
  readonly outbox: OutboxStore;
  readonly leases: LeaseStore;
  readonly deadLetters: DeadLetterStore;
  readonly archive: ArchiveStore;
  readonly status: StatusStore;
  readonly inbox: InboxStore;
  /** Empties all tables (slots and instances too), between two tests; without it, the store is closed and another one opened. */
  readonly clear?: () => Promise<void>;
  /** The time by the clock of the store, as `availableAt` is compared to it, in milliseconds since 1970. */
  now(): Promise<number>;
  /**
   * Ages all that is there, as if so much time had passed, without waiting for it: retries, delayed entries, instances,
   * inbox rows and its dead letters, archived entries, dead letters. A negative number makes all of it younger, as a clock that is set back.
   */
  passTime(ms: number): Promise<void>;
  /** Deletes the row of a slot, as somebody may by hand. */
  deleteSlot(slot: number): Promise<void>;
  /** Damages the row of an entry (of its headers, say) so that it can't be read as one; absent where that can't happen. */
  readonly damage?: (messageId: string, destination: string) => Promise<void>;
  /** Runs `work` in a savepoint of the current transaction. */
  savepoint<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` in a transaction as a user opens it, past the unit of work, where there is such a way. */
  readonly transactionOfUser?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Makes an aggregate with the value 0 that is known to the current context and stored at the commit. */
  create(id: string): Promise<SampleAggregate>;
  /** Loads an aggregate through the current context, and makes it known to it. */
  load(id: string): Promise<SampleAggregate | undefined>;
  /** Adds 1 to a stored aggregate's value with one statement in the current transaction. @returns the new value */
  increment(id: string): Promise<number>;
  /** The messages that the inbox has set aside, oldest first. */
  rejected(): Promise<RejectedMessage[]>;
  /** Removes all that `open` has made. */
  close(): Promise<void>;
}

/** An aggregate of the harness's own class. */
export interface SampleAggregate extends AggregateRoot {
  readonly id: string;
  /** A change is written by the next flush, at the latest before the commit. */
  value: number;
  /** Calls `record`. */
  happen(event: AnyEvent): void;
}
