import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { WIRE_HEADERS } from '../messages/message.js';
import {
  INBOX_CHANNELS,
  type AttemptDiagnostic,
  type DeadLetterDiagnostic,
  type DoneDiagnostic,
  type InboxDiagnostic,
} from './inbox-diagnostics.js';
import type { ReceivedMessage } from './received-message.js';

/** What became of the messages that this process has received since it started. */
export interface ConsumerCounts {
  readonly received: number;
  /** All handlers have committed. */
  readonly handled: number;
  /** Acknowledged, since every handler had handled it before. */
  readonly duplicates: number;
  /** Acknowledged, since no class here has the event's name, or `newerVersion` ignores the version. */
  readonly unknown: number;
  /** Tries that failed. */
  readonly failedAttempts: number;
  /** Tries that failed and were not counted, since the database did not answer. */
  readonly outages: number;
  readonly deadLettered: number;
  /** Left to the broker, to be delivered again: at shutdown, or when the broker took the message away. */
  readonly givenBack: number;
}

/** How a message ended that its handlers, or nobody here, had to handle. */
export type DispatchOutcome = 'handled' | 'duplicate' | 'unknown';

/** Counts what consumers do, and tells it on {@link INBOX_CHANNELS}. */
export class ConsumerTelemetry {
  readonly #counts = {
    received: 0,
    handled: 0,
    duplicates: 0,
    unknown: 0,
    failedAttempts: 0,
    outages: 0,
    deadLettered: 0,
    givenBack: 0,
  };

  constructor(private readonly options: ResolvedOptions) {}

  get counts(): ConsumerCounts {
    return { ...this.#counts };
  }

  received(message: ReceivedMessage): void {
    this.#counts.received++;
    if (!INBOX_CHANNELS.received.hasSubscribers) return;
    INBOX_CHANNELS.received.publish(this.describe(message));
  }

  done(message: ReceivedMessage, outcome: DispatchOutcome, durationMs: number): void {
    this.#counts[outcome === 'duplicate' ? 'duplicates' : outcome]++;
    if (!INBOX_CHANNELS[outcome].hasSubscribers) return;
    INBOX_CHANNELS[outcome].publish({ ...this.describe(message), durationMs } satisfies DoneDiagnostic);
  }

  failed(message: ReceivedMessage, attempts: number, error: unknown): void {
    this.#counts.failedAttempts++;
    if (!INBOX_CHANNELS.failed.hasSubscribers) return;
    const diagnostic: AttemptDiagnostic = { ...this.describe(message), attempts, error };
    INBOX_CHANNELS.failed.publish(diagnostic);
  }

  deadLettered(message: ReceivedMessage, reason: string, attempts: number, storedIn: string): void {
    this.#counts.deadLettered++;
    if (!INBOX_CHANNELS.deadLettered.hasSubscribers) return;
    const diagnostic: DeadLetterDiagnostic = { ...this.describe(message), reason, attempts, storedIn };
    INBOX_CHANNELS.deadLettered.publish(diagnostic);
  }

  outage(): void {
    this.#counts.outages++;
  }

  givenBack(): void {
    this.#counts.givenBack++;
  }

  private describe({ headers, topic, key, coordinates }: ReceivedMessage): InboxDiagnostic {
    const messageId = headers[WIRE_HEADERS.id];
    const name = headers[WIRE_HEADERS.name];
    return { source: this.options.source, messageId, name, topic, key, coordinates };
  }
}
