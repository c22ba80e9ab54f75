import { Logger } from '@nestjs/common';
import { CqrsOutboxError, messageOf, stackOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { WIRE_HEADERS } from '../messages/message.js';
import { backoffMs } from '../relay/failures/backoff.js';
import { isNonRetryable } from '../relay/failures/non-retryable.error.js';
import { monotonicClock } from '../relay/relay-clock.js';
import { BatchRolledBackError } from './batches/batch-rolled-back.error.js';
import { AttemptMemory } from './attempt-memory.js';
import type { ConsumerTelemetry } from './consumer-telemetry.js';
import { DatabaseProbe } from './database-probe.js';
import type { DeadLetterRoute } from './dead-letter-route.js';
import type { Hold } from './hold.js';
import { IgnoredMessages } from './ignored-messages.js';
import type { TransactionSharing } from './inbox-step.js';
import type { InboxStore } from './inbox-store.js';
import { isRejection, type DispatchResult, type MessageDispatcher } from './message-dispatcher.js';
import type { MessagePart } from './rejected-message.js';
import { describeMessage, MAX_HEADER_BYTES, type ReceivedMessage } from './received-message.js';

/** How a message's tries went so far. */
interface Progress {
  /** Tries that failed and count. */
  attempts: number;
  /** Those and the ones during which the database was away. */
  tries: number;
  outages: number;
}

/**
 * Tries a message until it is done.
 *
 *   received --> try --all handlers committed, duplicate, unknown name--> done
 *                 | \--can't be read--------------------------------> dead letter --> done
 *                 failed
 *                 | \--its batch was rolled back: at once, alone ----> try
 *                 | \--database away: wait, ask it again, not counted --> try
 *                 | \--this application is wrongly configured: wait, not counted --> try
 *                 | \--NonRetryableError, or maxAttempts ------------> dead letter --> done
 *                 wait (backoff) --> try
 *
 * A dead letter that can't be stored is tried again for as long as it takes. Each wait ends when the message must go back.
 */
export class MessageAttempts {
  readonly #logger = new Logger('EventConsumer');
  readonly #ignoredMessages = new IgnoredMessages();
  readonly #memory = new AttemptMemory();
  readonly #probe: DatabaseProbe;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly dispatcher: MessageDispatcher,
    private readonly route: DeadLetterRoute,
    private readonly telemetry: ConsumerTelemetry,
    inbox: InboxStore,
  ) {
    this.#probe = new DatabaseProbe(inbox, monotonicClock);
  }

  /**
   * @throws {@link HoldEndedError} when the message must go back
   * @throws what a handler has thrown, where the message can't be held
   */
  async run(message: ReceivedMessage, hold: Hold): Promise<void> {
    const progress: Progress = { attempts: this.#memory.take(message), tries: 0, outages: 0 };
    try {
      for (;;) {
        progress.tries++;
        try {
          const dispatched = await this.dispatcher.dispatch(message, this.sharingOf(progress));
          this.onDispatched(message, hold, progress, dispatched);
          return;
        } catch (error) {
          if (await this.onFailure(message, hold, progress, error)) return;
        }
      }
    } catch (error) {
      if (hold.terms.canWait) this.#memory.keep(message, progress.attempts);
      throw error;
    }
  }

  private onDispatched(
    message: ReceivedMessage,
    hold: Hold,
    progress: Progress,
    dispatched: DispatchResult,
  ): void {
    if (typeof dispatched === 'object') this.#ignoredMessages.warnOf(message, dispatched.ignored);
    const outcome = typeof dispatched === 'object' ? 'unknown' : dispatched;
    // What an earlier try of ours has committed, though its answer was lost, is no duplicate.
    const isOurs = outcome === 'duplicate' && progress.tries > 1;
    this.telemetry.done(message, isOurs ? 'handled' : outcome, hold.ageMs);
  }

  /** The first try is made together with other messages. */
  private sharingOf({ attempts, tries }: Progress): TransactionSharing | undefined {
    if (!this.options.consumer.batch) return undefined;
    return attempts === 0 && tries === 1 ? 'together' : 'alone';
  }

  /** @returns whether the message is done */
  private async onFailure(
    message: ReceivedMessage,
    hold: Hold,
    progress: Progress,
    error: unknown,
  ): Promise<boolean> {
    if (error instanceof BatchRolledBackError) return false;
    if (isRejection(error)) return this.giveUp(message, hold, progress.attempts, error);
    if (isOurFault(error) && hold.terms.canWait) {
      const delayMs = backoffMs(++progress.outages, this.options.consumer, Math.random);
      this.#logger.error(`Nothing can be handled, ${describeMessage(message)} waits: ${messageOf(error)}`);
      await hold.wait(delayMs);
      return false;
    }
    const isHopeless = isNonRetryable(error);
    if (hold.terms.canWait && !isHopeless && (await this.#probe.isAway())) {
      this.telemetry.outage();
      await this.waitForDatabase(hold, progress);
      return false;
    }
    const attempts = ++progress.attempts;
    this.telemetry.failed(message, attempts, error);
    if (!hold.terms.canWait) throw error;
    const { consumer } = this.options;
    if (isHopeless || attempts >= consumer.maxAttempts) return this.giveUp(message, hold, attempts, error);
    const delayMs = backoffMs(attempts, consumer, Math.random);
    const retry = `try ${attempts} of ${consumer.maxAttempts}, the next one in ${delayMs} ms`;
    this.#logger.error(`Handling failed, ${retry}, ${describeMessage(message)}: ${messageOf(error)}`);
    await hold.wait(delayMs);
    return false;
  }

  private async waitForDatabase(hold: Hold, progress: Progress): Promise<void> {
    do {
      await hold.wait(backoffMs(++progress.outages, this.options.consumer, Math.random));
    } while (await this.#probe.isAway());
  }

  private async giveUp(
    message: ReceivedMessage,
    hold: Hold,
    attempts: number,
    error: unknown,
  ): Promise<boolean> {
    const { topic, key, coordinates, headers, payload } = message;
    const reason = messageOf(error);
    const stack = isRejection(error) ? undefined : stackOf(error);
    const messageId = headers[WIRE_HEADERS.id];
    const name = headers[WIRE_HEADERS.name];
    const incompleteParts: MessagePart[] = message.headerBytes > MAX_HEADER_BYTES ? ['headers'] : [];
    if (message.areBytesLost) incompleteParts.push('payload');
    const content = { topic, key, coordinates, headers, payload, incompleteParts };
    const rejected = { messageId, name, ...content, reason, stack, attempts };
    for (let failures = 0; ; failures++) {
      try {
        const storedIn = await this.route.store(rejected, failures);
        this.#logger.error(`Set aside as a dead letter, ${describeMessage(message)}: ${reason}.`);
        this.telemetry.deadLettered(message, reason, attempts, storedIn);
        return true;
      } catch (cause) {
        this.#logger.error(
          `A dead letter could not be stored, ${describeMessage(message)} waits: ${messageOf(cause)}`,
        );
        if (!hold.terms.canWait) throw cause;
        await hold.wait(backoffMs(failures + 1, this.options.consumer, Math.random));
      }
    }
  }
}

/** The broker still has the message as it was sent: a dead letter would keep less of it. */
function isOurFault(error: unknown): boolean {
  return error instanceof CqrsOutboxError && error.code === 'PAYLOAD_BYTES_LOST';
}
