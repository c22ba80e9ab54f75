import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import type { MessageContext } from '../messages/message-context.js';
import type { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import { HandlerLimit } from './handler-limit.js';
import { DuplicateMessageError, type InboxStore } from './inbox-store.js';

/**
 * The transactional step of an event handler: the inbox row first and then the handler, in one transaction. The row's
 * unique key makes a concurrent delivery of the same message wait, and lets one of the two commit.
 */
export class InboxStep {
  readonly #logger = new Logger('Inbox');
  /** Contexts of messages of which a handler was skipped, or has committed. */
  readonly #skipped = new WeakSet<MessageContext>();
  readonly #handled = new WeakSet<MessageContext>();

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly inbox: InboxStore,
    private readonly options: ResolvedOptions,
  ) {}

  /** @throws {@link CqrsOutboxError} with code `HANDLER_TIMEOUT` after `consumer.handlerTimeoutMs` */
  async run(context: MessageContext, handler: string, proceed: () => Promise<unknown>): Promise<unknown> {
    const { messageId } = context;
    const limit = new HandlerLimit(
      `${handler}, for message ${messageId},`,
      this.options.consumer.handlerTimeoutMs,
    );
    const transact = (): Promise<unknown> =>
      this.unitOfWork.runInTransaction(
        async () => {
          limit.signal.throwIfAborted();
          await this.inbox.record(messageId, handler, limit.signal);
          return limit.run(proceed);
        },
        { signal: limit.signal, onCommitted: () => limit.stop() },
      );
    try {
      const result = await limit.watch(transact);
      this.#handled.add(context);
      return result;
    } catch (error) {
      if (!(error instanceof DuplicateMessageError) || error.messageId !== messageId) throw error;
      this.#skipped.add(context);
      this.#logger.debug(`${error.message} Skipped (${context.coordinates}).`);
      return undefined;
    }
  }

  /** Whether all handlers that were run with this context were skipped, since they had handled its message before. */
  isDuplicate(context: MessageContext): boolean {
    return this.#skipped.has(context) && !this.#handled.has(context);
  }
}
