import type { MessagePart, RejectedMessage } from './rejected-message.js';

/** A received message that was set aside, as far as a list shows it: without its payload. */
export interface InboxDeadLetter extends Omit<RejectedMessage, 'payload'> {
  /** Its number among the inbox's dead letters: a decimal string, in the order in which messages were set aside. */
  readonly deadLetterId: string;
  /** The size of the payload that is kept, in bytes; undefined for a tombstone. */
  readonly payloadBytes: number | undefined;
  /** Parts that are not kept as they came, since they were too large or can't be stored. Such a letter can't be retried. */
  readonly incompleteParts: readonly MessagePart[];
  /** By the database's clock. */
  readonly rejectedAt: Date;
}

/** An {@link InboxDeadLetter} with its payload. */
export interface InboxDeadLetterContent extends InboxDeadLetter {
  /** The bytes as they came, as far as they are kept; null for a tombstone. */
  readonly payload: Buffer | null;
}

/** Which of the inbox's dead letters; all conditions must hold, and none selects all. */
export interface InboxDeadLetterSelection {
  readonly deadLetterId?: string;
  /** A message that came twice may have been set aside twice. */
  readonly messageId?: string;
  /** Wire name of the event. */
  readonly name?: string;
  readonly topic?: string;
  readonly key?: string;
  /** Those up to the dead letter with this `deadLetterId`. */
  readonly upTo?: string;
}

/** A part of the list. */
export interface InboxDeadLetterPage extends InboxDeadLetterSelection {
  readonly order: 'oldest first' | 'newest first';
  /** Those that come after the dead letter with this `deadLetterId`, in the given order. */
  readonly after?: string;
  readonly limit: number;
}

/** What is written down of a retry that failed. */
export interface FailedRetry {
  /** How many attempts were known before: when another retry has counted one meanwhile, this one is not written. */
  readonly attemptsBefore: number;
  readonly attempts: number;
  readonly reason: string;
  readonly stack: string | undefined;
}
