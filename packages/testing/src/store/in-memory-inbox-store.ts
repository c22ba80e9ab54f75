import { DuplicateMessageError, InboxStore, type RejectedMessage } from '@cqrs-outbox/core';
import type { InboxRow, InMemoryDatabase } from './in-memory-database.js';
import { keyOf } from './in-memory-rows.js';
import type { InMemoryUnitOfWork } from './in-memory-unit-of-work.js';

/** The inbox in memory. A pair that an open transaction has inserted makes others wait, as a unique key would. */
export class InMemoryInboxStore extends InboxStore {
  constructor(
    private readonly database: InMemoryDatabase,
    private readonly unitOfWork: InMemoryUnitOfWork,
  ) {
    super();
  }

  async ping(): Promise<void> {}

  async record(messageId: string, handler: string): Promise<void> {
    const { transaction } = this.unitOfWork;
    if (!transaction) throw new Error('record needs an open transaction.');
    const { inbox, clock } = this.database;
    const pair = keyOf(messageId, handler);
    for (let row = inbox.get(pair); row; row = inbox.get(pair)) {
      const { recordedBy } = row;
      if (!recordedBy.isOpen || recordedBy === transaction.outermost)
        throw new DuplicateMessageError(messageId, handler);
      await recordedBy.ended;
    }
    inbox.set(pair, { recordedBy: transaction.outermost, recordedAt: clock.now() });
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

  async purge(retentionMs: number, limit: number): Promise<number> {
    const { inbox, clock } = this.database;
    const before = clock.now() - retentionMs;
    const isOld = ([, { recordedBy, recordedAt }]: [string, InboxRow]): boolean =>
      !recordedBy.isOpen && recordedAt < before;
    const old = [...inbox].filter(isOld).slice(0, limit);
    for (const [pair] of old) inbox.delete(pair);
    return old.length;
  }

  /** The messages that were set aside, oldest first. */
  rejected(): RejectedMessage[] {
    return [...this.database.rejected];
  }
}
