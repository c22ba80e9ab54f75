import { Logger } from '@nestjs/common';
import { CqrsOutboxError, messageOf, stackOf } from '../cqrs-outbox.error.js';
import type { InboxDeadLetter, InboxDeadLetterContent } from '../consumers/inbox-dead-letter.js';
import type { InboxStore } from '../consumers/inbox-store.js';
import type { MessageDecoder } from '../consumers/message-decoder.js';
import type { MessageDispatcher } from '../consumers/message-dispatcher.js';
import { describeMessage, headerBytesOf, type ReceivedMessage } from '../consumers/received-message.js';
import type { EventMap } from '../handlers/event-map.js';

/** What became of a retry; a letter that is gone was retried or discarded by another meanwhile. */
export type RetryOutcome =
  { readonly status: 'handled' | 'gone' } | { readonly status: 'failed'; readonly reason: string };

/**
 * Hands one dead letter of the inbox to its handlers again.
 *
 *   read -> decoded -> each handler, in a transaction with its inbox row -> letter deleted
 *              \------------\-- failed: the letter stays, with the new reason
 *
 * A crash before the last step leaves a letter whose handlers have committed: its next retry skips them and deletes it.
 * Of two retries at the same time, one waits for the other at the inbox row of each handler, and then skips it.
 */
export class InboxLetterRetry {
  readonly #logger = new Logger('InboxDeadLetters');

  constructor(
    private readonly store: InboxStore,
    private readonly decoder: MessageDecoder,
    private readonly events: EventMap,
    private readonly dispatcher: MessageDispatcher,
  ) {}

  /** Rejects with the store's error only; then the letter is as it was, or as after a crash. */
  async run(deadLetterId: string): Promise<RetryOutcome> {
    const letter = await this.store.readSetAside(deadLetterId);
    if (!letter) return { status: 'gone' };
    if (letter.incompleteParts.length > 0) return { status: 'failed', reason: whyIncomplete(letter) };
    const message = toMessage(letter);
    try {
      await this.handle(message);
    } catch (error) {
      this.#logger.error(
        `The dead letter ${deadLetterId} stays, ${describeMessage(message)} failed again: ${messageOf(error)}`,
      );
      return this.recordFailure(letter, error);
    }
    this.#logger.log(`The dead letter ${deadLetterId} was handled, ${describeMessage(message)}.`);
    return { status: (await this.store.deleteSetAside([deadLetterId])) > 0 ? 'handled' : 'gone' };
  }

  private async handle(message: ReceivedMessage): Promise<void> {
    const decoded = this.decoder.decode(message);
    if ('ignored' in decoded || this.events.handlersOf(decoded.eventClass).length === 0)
      throw new CqrsOutboxError('MESSAGE_REJECTED', 'no handler of its event is in this application');
    await this.dispatcher.dispatch(message);
  }

  private async recordFailure(
    { deadLetterId, attempts }: InboxDeadLetter,
    error: unknown,
  ): Promise<RetryOutcome> {
    const reason = messageOf(error);
    const isRejected = error instanceof CqrsOutboxError && error.code === 'MESSAGE_REJECTED';
    const isWritten = await this.store.recordFailedRetry(deadLetterId, {
      attemptsBefore: attempts,
      attempts: isRejected ? attempts : attempts + 1,
      reason,
      stack: isRejected ? undefined : stackOf(error),
    });
    const isThere = isWritten || (await this.store.countSetAside({ deadLetterId })) > 0;
    return isThere ? { status: 'failed', reason } : { status: 'gone' };
  }
}

/** The message as it was received. */
function toMessage({ headers, payload, topic, key, coordinates }: InboxDeadLetterContent): ReceivedMessage {
  return { headers, headerBytes: headerBytesOf(headers), payload, topic, key, coordinates };
}

/** Why such a letter can't be retried. */
export function whyIncomplete({ incompleteParts }: InboxDeadLetter): string {
  return (
    `it is not kept as it came (${incompleteParts.join(', ')}), so that its handlers would get another message; ` +
    `have its publisher send it again, and discard this one`
  );
}
