import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { PublishResult } from '../transports/transport.js';
import type { Transports } from '../transports/transports.js';
import type { DeadLetterDestination } from './consumer.options.js';
import { DEAD_LETTER_HEADERS, toDeadLetterMessage } from './dead-letter-message.js';
import type { InboxStore } from './inbox-store.js';
import type { RejectedMessage } from './rejected-message.js';

/** So often a destination may refuse a dead letter, unless it does so for good, before the table takes it. */
const MAX_REFUSALS = 3;
const TABLE = 'table';

/** Brings a message that was given up to where `consumer.deadLetters` says. */
export class DeadLetterRoute {
  readonly #logger = new Logger('EventConsumer');

  constructor(
    private readonly options: ResolvedOptions,
    private readonly transports: Transports,
    private readonly inbox: InboxStore,
  ) {}

  /**
   * One try.
   *
   * @param failures how often it was tried before
   * @returns where it is now: `table` or the name of the destination
   * @throws what kept it from being stored: it is nowhere then, as far as is known
   */
  async store(rejected: RejectedMessage, failures: number): Promise<string> {
    const { deadLetters } = this.options.consumer;
    // One that comes back, to a service that consumes its own dead letters, would go round for ever.
    const cameBack = DEAD_LETTER_HEADERS.reason in rejected.headers;
    if (deadLetters === TABLE || cameBack) return this.storeInTable(rejected);
    const { status, error, permanent } = await this.publish(rejected, deadLetters);
    const { destination } = deadLetters;
    if (status === 'published') return destination;
    const isRefused = status === 'refused' && (permanent === true || failures + 1 >= MAX_REFUSALS);
    if (!isRefused) throw new Error(`${destination} did not take it: ${messageOf(error)}`, { cause: error });
    this.#logger.error(`${destination} refuses a dead letter, the table takes it: ${messageOf(error)}`);
    return this.storeInTable(rejected);
  }

  private async storeInTable(rejected: RejectedMessage): Promise<string> {
    await this.inbox.setAside(rejected);
    return TABLE;
  }

  private async publish(
    rejected: RejectedMessage,
    { destination, topic = `${rejected.topic}.dead-letters` }: DeadLetterDestination,
  ): Promise<PublishResult & { permanent?: boolean }> {
    try {
      const [result] = await this.transports.get(destination).publish([toDeadLetterMessage(rejected, topic)]);
      return result ?? { status: 'held' };
    } catch (error) {
      return { status: 'unavailable', error };
    }
  }
}
