import { DuplicateMessageError, InboxStore, type RejectedMessage } from '@cqrs-outbox/core';
import { keyOf, type InMemoryDatabase } from './in-memory-database.js';
import type { InMemoryUnitOfWork } from './in-memory-unit-of-work.js';

/** The inbox in memory. A pair that an open transaction has inserted makes others wait, as a unique key would. */
export class InMemoryInboxStore extends InboxStore {
  constructor(
    private readonly database: InMemoryDatabase,
    private readonly unitOfWork: InMemoryUnitOfWork,
  ) {
    super();
  }

  async record(messageId: string, handler: string): Promise<void> {
    const { transaction } = this.unitOfWork;
    if (!transaction) throw new Error('record needs an open transaction.');
    const { inbox } = this.database;
    const pair = keyOf(messageId, handler);
    for (let owner = inbox.get(pair); owner; owner = inbox.get(pair)) {
      if (!owner.isOpen || owner === transaction.outermost)
        throw new DuplicateMessageError(messageId, handler);
      await owner.ended;
    }
    inbox.set(pair, transaction.outermost);
    transaction.onRollback(() => inbox.delete(pair));
  }

  async setAside(message: RejectedMessage): Promise<void> {
    const { headers, payload } = message;
    this.database.rejected.push({
      ...message,
      headers: { ...headers },
      payload: payload && Buffer.from(payload),
    });
  }

  /** The messages that were set aside, oldest first. */
  rejected(): RejectedMessage[] {
    return [...this.database.rejected];
  }
}
