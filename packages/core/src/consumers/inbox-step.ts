import { Injectable, Logger } from '@nestjs/common';
import type { MessageContext } from '../messages/message-context.js';
import { UnitOfWork } from '../unit-of-work/unit-of-work.js';
import { DuplicateMessageError, InboxStore } from './inbox-store.js';

/**
 * The transactional step of an event handler: the inbox row first and then the handler, in one transaction. The row's
 * unique key makes a concurrent delivery of the same message wait, and lets one of the two commit.
 */
@Injectable()
export class InboxStep {
  readonly #logger = new Logger('Inbox');

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly inbox: InboxStore,
  ) {}

  async run(context: MessageContext, handler: string, proceed: () => Promise<unknown>): Promise<unknown> {
    const { messageId } = context;
    try {
      return await this.unitOfWork.runInTransaction(async () => {
        await this.inbox.record(messageId, handler);
        return proceed();
      });
    } catch (error) {
      if (!(error instanceof DuplicateMessageError) || error.messageId !== messageId) throw error;
      this.#logger.debug(`${error.message} Skipped (${context.coordinates}).`);
      return undefined;
    }
  }
}
