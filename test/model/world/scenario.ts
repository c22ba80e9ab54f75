import type {
  DeadLetterPolicy,
  LeaseStore,
  OutboxStore,
  PublishOptions,
  PublishResult,
} from '@cqrs-outbox/core';
import type { Message } from '@cqrs-outbox/core';
import type { InMemoryDatabase } from '@cqrs-outbox/testing';

/** The faults that the model knows. */
export type FaultKind =
  /** A process dies: what it has asked for takes effect or does not, and it hears no answer. Another one may start. */
  | 'crash'
  /** A process stands still for a while (SIGSTOP), shorter or longer than a lease. */
  | 'freeze'
  /** A statement fails without an effect. */
  | 'statement fails'
  /** A statement has its effect, but the answer is an error. */
  | 'answer lost'
  /** A statement takes effect long after it was sent. */
  | 'stall'
  | 'message refused'
  | 'message refused for good'
  /** The broker can't be reached. */
  | 'broker away'
  /** The message arrives, and the process is told that the broker can't be reached. */
  | 'acknowledgement lost'
  /** The process is told that the broker can't be reached, and the message arrives long after. */
  | 'message late'
  /** The clock of the database is set forward or back, by more than a lease. */
  | 'clock jump';

/** An entry that is appended in the course of a run. */
export interface Append {
  readonly at: number;
  /** Keys `x` and `y` are in the first and the second slot. */
  readonly key: 'x' | 'y';
  readonly policy?: DeadLetterPolicy;
  /** How often the broker refuses it, whatever else happens. */
  readonly refusals?: number;
  readonly dueAt?: number;
}

/** Something that is done to a process. */
export interface Operating {
  readonly at: number;
  /**
   * `delete the row of`: somebody deletes a process from the table of the instances, by hand. `visit`: a process that relays nothing by itself makes one pass, as `runOnce` does, and goes.
   */
  readonly what: 'start' | 'stop' | 'visit' | 'publish one' | 'requeue' | 'delete the row of';
  /** Of `requeue`, which a person does, none. */
  readonly process?: number;
  /** The message of `publish one`. */
  readonly id?: string;
  /** Into how many slots it divides the keys; the scenario's number unless given. */
  readonly slotCount?: number;
}

/** What the relay is built on; a mutation puts a wrong part in place of a right one. */
export interface Parts {
  readonly leaseStore: (database: InMemoryDatabase) => LeaseStore;
  readonly outboxStore: (database: InMemoryDatabase) => OutboxStore;
  readonly publish: (
    messages: readonly Message[],
    publishOne: (message: Message) => Promise<PublishResult>,
    options: PublishOptions,
  ) => Promise<PublishResult[]>;
  /** How fast the clock of a process runs. */
  readonly clockRate: number;
}

/** The start of a model's runs, and what may happen in them. */
export interface Scenario {
  readonly name: string;
  readonly slotCount: number;
  readonly operating: readonly Operating[];
  readonly appends: readonly Append[];
  readonly faults: readonly FaultKind[];
  /** Whether a new process takes the place of one that has crashed. */
  readonly restarts: boolean;
  readonly maxAttempts: number;
  readonly parts?: Partial<Parts>;
}
