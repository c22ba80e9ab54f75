import { channel } from 'node:diagnostics_channel';

/** What every message on a channel of {@link INBOX_CHANNELS} has. */
export interface InboxDiagnostic {
  /** `source` of this application's `forRoot`, not the publisher's. */
  readonly source: string;
  /** As it came, unchecked; undefined in a message that is none of ours. */
  readonly messageId: string | undefined;
  readonly name: string | undefined;
  readonly topic: string;
  readonly key: string | undefined;
  /** Where it was: `kafka meetings[3]@42`. */
  readonly coordinates: string;
}

/** Messages of the channels `handled`, `duplicate` and `unknown`: a message that is done. */
export interface DoneDiagnostic extends InboxDiagnostic {
  /** From its arrival on, the waits between tries included. */
  readonly durationMs: number;
}

/** Messages of the channel `failed`: a try was counted. */
export interface AttemptDiagnostic extends InboxDiagnostic {
  /** This one included. */
  readonly attempts: number;
  readonly error: unknown;
}

/** Messages of the channel `deadLettered`. */
export interface DeadLetterDiagnostic extends InboxDiagnostic {
  readonly reason: string;
  /** How often its handlers have failed; 0 for a message that could not be read. */
  readonly attempts: number;
  /** `table`, or the name of the destination that has it now. */
  readonly storedIn: string;
}

/**
 * The consumer's channels of Node's diagnostics_channel. Subscribers are called as {@link OUTBOX_CHANNELS} says: be quick,
 * and catch all.
 */
export const INBOX_CHANNELS = {
  /** Handed over by the broker; nothing in it was looked at. */
  received: channel('cqrs-outbox:message-received'),
  handled: channel('cqrs-outbox:message-handled'),
  /** Every handler had handled it before. */
  duplicate: channel('cqrs-outbox:message-duplicate'),
  /** Its event has no class here. */
  unknown: channel('cqrs-outbox:message-unknown'),
  failed: channel('cqrs-outbox:message-failed'),
  deadLettered: channel('cqrs-outbox:message-dead-lettered'),
} as const;
