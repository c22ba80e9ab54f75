import type { OutboxEntry } from '../outbox/outbox-entry.js';

/** One refusal of an entry. */
export interface FailedAttempt {
  readonly at: Date;
  readonly error: string;
}

/** An entry that was given up. */
export interface DeadLetter extends Omit<OutboxEntry, 'availableAt' | 'strictOrder' | 'slot'> {
  /** Its number among the dead letters: a decimal string, in the order in which entries were given up. */
  readonly deadLetterId: string;
  readonly attempts: number;
  /** Why it was refused the last time. */
  readonly error: string;
  readonly stack: string | undefined;
  /** Its refusals, oldest first; of many the last 20. */
  readonly history: readonly FailedAttempt[];
  readonly failedAt: Date;
  /** Whether its key waits for it. */
  readonly isParking: boolean;
}

/** Which dead letters; all conditions must hold, and none selects all. */
export interface DeadLetterSelection {
  readonly messageId?: string;
  readonly destination?: string;
  readonly key?: string;
  /** Wire name of the event. */
  readonly name?: string;
  /** Those up to the dead letter with this `deadLetterId`. */
  readonly upTo?: string;
}

/** A part of the list. */
export interface DeadLetterPage extends DeadLetterSelection {
  /** Those after the dead letter with this `deadLetterId`. */
  readonly after?: string;
  readonly limit: number;
}

/** Port: the dead letters of the outbox. Outside of transactions of the caller, each method atomic. */
export abstract class DeadLetterStore {
  /** In the order in which they were given up. */
  abstract list(page: DeadLetterPage): Promise<DeadLetter[]>;

  /** The highest `deadLetterId` that there is; undefined when there is none. */
  abstract newest(): Promise<string | undefined>;

  /**
   * Moves dead letters back into the outbox, at the position that they had there: same message id, no attempts, and
   * the keys that they park are free. 500 at most each time, the earliest position first. They wait for a slot until
   * {@link OutboxStore.assignSlots}. One whose message is in the outbox already, through a replay, is only deleted here.
   *
   * @returns how many
   */
  abstract requeue(selection: DeadLetterSelection): Promise<number>;

  /** Deletes dead letters, and frees the keys that they park; 500 at most each time. @returns how many */
  abstract discard(selection: DeadLetterSelection): Promise<number>;

  /** Deletes `limit` dead letters at most that failed over `retentionMs` ago and park no key. @returns how many */
  abstract purge(retentionMs: number, limit: number): Promise<number>;
}
