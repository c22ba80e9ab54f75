import type {
  FailedRetry,
  InboxDeadLetter,
  InboxDeadLetterContent,
  InboxDeadLetterPage,
  InboxDeadLetterSelection,
} from './inbox-dead-letter.js';
import type { RejectedMessage } from './rejected-message.js';

/** That a handler has handled a message: what one row of the inbox says. */
export interface InboxPair {
  readonly messageId: string;
  readonly handler: string;
}

/** Port: what a consumer remembers. */
export abstract class InboxStore {
  /** Resolves when the database answers: what a handler failed for was not that it is away. */
  abstract ping(): Promise<void>;

  /**
   * Inserts (message id, handler) in the current transaction. While another transaction has inserted the same pair and
   * is still open, this waits for its end.
   *
   * @param signal the one of the transaction: when it is aborted, the wait is to end, by an error
   * @throws {@link DuplicateMessageError} when the pair is there already; the transaction can go on
   */
  abstract record(messageId: string, handler: string, signal?: AbortSignal): Promise<void>;

  /**
   * As {@link record}, which is how it is done unless a store knows it without an error.
   *
   * @returns whether the pair is new; if not, the transaction can go on
   */
  async recordIfNew({ messageId, handler }: InboxPair, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.record(messageId, handler, signal);
      return true;
    } catch (error) {
      if (error instanceof DuplicateMessageError) return false;
      throw error;
    }
  }

  /**
   * Inserts several pairs in the current transaction, for handlers that share it: as {@link record} does one after another,
   * which is how it is done unless a store can do it by fewer statements.
   *
   * It is called outside of the asynchronous contexts of the messages, as {@link forget} is.
   *
   * @param pairs up to `consumer.batch.maxMessages`; the same may be there twice, and is then new once
   * @param signal as for {@link record}
   * @returns for each, whether it is new; if not, the transaction can go on
   */
  async recordAll(pairs: readonly InboxPair[], signal?: AbortSignal): Promise<boolean[]> {
    const areNew: boolean[] = [];
    for (const pair of pairs) areNew.push(await this.recordIfNew(pair, signal));
    return areNew;
  }

  /** Deletes pairs that the current transaction has inserted: their handlers are to run in another. */
  abstract forget(pairs: readonly InboxPair[]): Promise<void>;

  /** Stores a message in the inbox's dead letters, in a transaction of its own. */
  abstract setAside(message: RejectedMessage): Promise<void>;

  /**
   * Dead letters of the inbox, without their payloads. One plain read, outside of the caller's transaction; it rejects
   * with the database's error.
   */
  abstract listSetAside(page: InboxDeadLetterPage): Promise<InboxDeadLetter[]>;

  /** One of them with its payload, read as {@link listSetAside} does. @returns undefined when it is gone */
  abstract readSetAside(deadLetterId: string): Promise<InboxDeadLetterContent | undefined>;

  /** How many there are; read as {@link listSetAside} does. */
  abstract countSetAside(selection: InboxDeadLetterSelection): Promise<number>;

  /**
   * Writes down that a dead letter could not be handled again. One statement, outside of the caller's transaction; when
   * it rejects, nothing was written.
   *
   * @returns false when it is gone, or its attempts are not `attemptsBefore`: then nothing is written
   */
  abstract recordFailedRetry(deadLetterId: string, failure: FailedRetry): Promise<boolean>;

  /**
   * Deletes dead letters by their ids, 500 of them at most. One statement, outside of the caller's transaction; when it
   * rejects, none was deleted.
   *
   * @returns how many; those that are gone already are not counted
   */
  abstract deleteSetAside(deadLetterIds: readonly string[]): Promise<number>;

  /** Deletes `limit` dead letters at most that were set aside over `retentionMs` ago, by the database's clock. @returns how many */
  abstract purgeSetAside(retentionMs: number, limit: number): Promise<number>;

  /**
   * Deletes `limit` inbox rows at most that were recorded over `retentionMs` ago, by the database's clock. Those of a
   * message that is set aside stay: they keep its retry from handling twice what some handlers have handled.
   *
   * @returns how many
   */
  abstract purge(retentionMs: number, limit: number): Promise<number>;
}

/** For the texts of errors. */
export function describePair({ messageId, handler }: InboxPair): string {
  return `${handler}, for message ${messageId},`;
}

/** A handler has handled this message already. It ends the handler's transaction, and is no failure. */
export class DuplicateMessageError extends Error {
  constructor(
    readonly messageId: string,
    readonly handler: string,
  ) {
    super(`${handler} has handled message ${messageId} already.`);
    this.name = DuplicateMessageError.name;
  }
}
