import { channel } from 'node:diagnostics_channel';
import type { StoredEntry } from '../outbox/outbox-entry.js';

/** What every message on a channel has. */
export interface OutboxDiagnostic {
  /** `source` of the application's `forRoot`. */
  readonly source: string;
  /** The relay instance, as in the lease table. */
  readonly instance: string | undefined;
}

/** Messages of the channels `publishing` and `published`: a batch. */
export interface BatchDiagnostic extends OutboxDiagnostic {
  readonly destination: string;
  readonly entries: readonly StoredEntry[];
}

/** Messages of the channel `failed`: nothing could be published, and no attempt was counted. */
export interface FailureDiagnostic extends OutboxDiagnostic {
  readonly destination: string;
  readonly error: unknown;
}

/** Messages of the channels `parked` and `deadLettered`: an entry was refused. */
export interface RefusalDiagnostic extends OutboxDiagnostic {
  readonly destination: string;
  readonly entry: StoredEntry;
  /** This one included. */
  readonly attempts: number;
  readonly error: unknown;
}

/** Messages of the channels `leaseGained` and `leaseLost`. */
export interface LeaseDiagnostic extends OutboxDiagnostic {
  readonly slots: readonly number[];
}

/**
 * The relay's channels of Node's diagnostics_channel (https://nodejs.org/api/diagnostics_channel.html). Subscribers are
 * called synchronously in the relay's own course: be quick, and change nothing. What one throws does not reach the relay,
 * nor the other subscribers: Node raises it as an `uncaughtException`, which ends the process unless the application
 * handles it. So catch it in the subscriber.
 */
export const OUTBOX_CHANNELS = {
  /** A batch is about to be given to the transport. */
  publishing: channel('cqrs-outbox:publishing'),
  /** Entries of a batch were acknowledged by the destination; they are not deleted yet. */
  published: channel('cqrs-outbox:published'),
  failed: channel('cqrs-outbox:failed'),
  parked: channel('cqrs-outbox:parked'),
  deadLettered: channel('cqrs-outbox:dead-lettered'),
  leaseGained: channel('cqrs-outbox:lease-gained'),
  leaseLost: channel('cqrs-outbox:lease-lost'),
} as const;
