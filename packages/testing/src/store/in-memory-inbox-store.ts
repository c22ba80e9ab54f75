import {
  DuplicateMessageError,
  InboxStore,
  type FailedRetry,
  type InboxDeadLetter,
  type InboxDeadLetterContent,
  type InboxDeadLetterPage,
  type InboxDeadLetterSelection,
  type InboxPair,
  type RejectedMessage,
} from '@cqrs-outbox/core';
import type { InboxRow, InMemoryDatabase } from './in-memory-database.js';
import { keyOf, type RejectedRow } from './in-memory-rows.js';
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
    const row = { messageId, recordedBy: transaction.outermost, recordedAt: clock.now() };
    inbox.set(pair, row);
    transaction.onRollback(() => {
      // It may have been forgotten, and another's be there.
      if (inbox.get(pair) === row) inbox.delete(pair);
    });
  }

  async forget(pairs: readonly InboxPair[]): Promise<void> {
    for (const { messageId, handler } of pairs) this.database.inbox.delete(keyOf(messageId, handler));
  }

  async setAside(message: RejectedMessage): Promise<void> {
    const { clock, rejected } = this.database;
    const row = {
      deadLetterId: this.database.nextId(),
      rejectedAt: clock.now(),
      message: copyOfMessage(message),
    };
    this.database.rejected = [...rejected, row];
  }

  async listSetAside({ order, after, limit, ...selection }: InboxDeadLetterPage): Promise<InboxDeadLetter[]> {
    const isOldestFirst = order === 'oldest first';
    const rows = isOldestFirst ? this.select(selection) : this.select(selection).reverse();
    const isNext = ({ deadLetterId }: RejectedRow): boolean =>
      after === undefined || (isOldestFirst ? deadLetterId > BigInt(after) : deadLetterId < BigInt(after));
    return rows.filter(isNext).slice(0, limit).map(toLetter);
  }

  async readSetAside(deadLetterId: string): Promise<InboxDeadLetterContent | undefined> {
    const [row] = this.select({ deadLetterId });
    return row && { ...toLetter(row), payload: copyOfMessage(row.message).payload };
  }

  async countSetAside(selection: InboxDeadLetterSelection): Promise<number> {
    return this.select(selection).length;
  }

  async recordFailedRetry(
    deadLetterId: string,
    { attemptsBefore, ...failure }: FailedRetry,
  ): Promise<boolean> {
    const [row] = this.select({ deadLetterId });
    if (row?.message.attempts !== attemptsBefore) return false;
    const updated = { ...row, message: { ...row.message, ...failure } };
    this.database.rejected = this.database.rejected.map((each) => (each === row ? updated : each));
    return true;
  }

  async deleteSetAside(deadLetterIds: readonly string[]): Promise<number> {
    const ids = new Set(deadLetterIds.map(BigInt));
    return this.deleteRows(({ deadLetterId }) => ids.has(deadLetterId));
  }

  async purgeSetAside(retentionMs: number, limit: number): Promise<number> {
    const before = this.database.clock.now() - retentionMs;
    const old = this.database.rejected.filter(({ rejectedAt }) => rejectedAt < before).slice(0, limit);
    return this.deleteRows((row) => old.includes(row));
  }

  async purge(retentionMs: number, limit: number): Promise<number> {
    const { inbox, clock, rejected } = this.database;
    const before = clock.now() - retentionMs;
    const setAside = new Set(rejected.map(({ message }) => message.messageId));
    const isOld = ([, { messageId, recordedBy, recordedAt }]: [string, InboxRow]): boolean =>
      !recordedBy.isOpen && recordedAt < before && !setAside.has(messageId);
    const old = [...inbox].filter(isOld).slice(0, limit);
    for (const [pair] of old) inbox.delete(pair);
    return old.length;
  }

  /** The messages that are set aside, oldest first. */
  rejected(): RejectedMessage[] {
    return this.database.rejected.map(({ message }) => copyOfMessage(message));
  }

  private select({
    deadLetterId,
    messageId,
    name,
    topic,
    key,
    upTo,
  }: InboxDeadLetterSelection): RejectedRow[] {
    return this.database.rejected.filter(
      ({ deadLetterId: id, message }) =>
        (deadLetterId === undefined || id === BigInt(deadLetterId)) &&
        (upTo === undefined || id <= BigInt(upTo)) &&
        message.messageId === (messageId ?? message.messageId) &&
        message.name === (name ?? message.name) &&
        message.topic === (topic ?? message.topic) &&
        message.key === (key ?? message.key),
    );
  }

  private deleteRows(isGone: (row: RejectedRow) => boolean): number {
    const { rejected } = this.database;
    this.database.rejected = rejected.filter((row) => !isGone(row));
    return rejected.length - this.database.rejected.length;
  }
}

/** Shares nothing with the original, as if it had been written to a disk. */
function copyOfMessage(message: RejectedMessage): RejectedMessage {
  const { headers, payload } = message;
  return { ...message, headers: { ...headers }, payload: payload && Buffer.from(payload) };
}

/** In memory nothing more is cut. */
function toLetter({ deadLetterId, rejectedAt, message }: RejectedRow): InboxDeadLetter {
  const { payload, incompleteParts = [], ...rest } = copyOfMessage(message);
  return {
    ...rest,
    deadLetterId: String(deadLetterId),
    payloadBytes: payload?.length,
    incompleteParts,
    rejectedAt: new Date(rejectedAt),
  };
}
