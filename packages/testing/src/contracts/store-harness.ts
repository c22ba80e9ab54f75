import type {
  AggregateRoot,
  AnyEvent,
  InboxStore,
  OutboxStore,
  RejectedMessage,
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
  readonly inbox: InboxStore;
  /** Empties all tables, between two tests; without it, the store is closed and another one opened. */
  readonly clear?: () => Promise<void>;
  /** Makes parked keys due as if so much time had passed, without waiting for it. */
  passTime(ms: number): Promise<void>;
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
  /** The dead letters of the outbox, oldest first. */
  deadLetters(): Promise<StoredDeadLetter[]>;
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

/** A dead letter of the outbox. */
export interface StoredDeadLetter {
  readonly messageId: string;
  readonly destination: string;
  readonly payload: Buffer | null;
  readonly attempts: number;
  readonly error: string;
}
