/** A message that could not be handled as it is, with all that a person needs to find and judge it. */
export interface RejectedMessage {
  readonly messageId: string | undefined;
  readonly name: string | undefined;
  readonly topic: string;
  readonly key: string | undefined;
  /** Where it was: `kafka meetings[3]@42`. */
  readonly coordinates: string;
  readonly reason: string;
  /** Of the handler's last failure. */
  readonly stack: string | undefined;
  /** How often its handlers have failed; 0 when none was run. */
  readonly attempts: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The raw bytes. */
  readonly payload: Buffer | null;
}

/** Port: what a consumer remembers. */
export abstract class InboxStore {
  /** Resolves when the database answers: what a handler failed for was not that it is away. */
  abstract ping(): Promise<void>;

  /**
   * Inserts (message id, handler) in the current transaction. While another transaction has inserted the same pair and
   * is still open, this waits for its end.
   *
   * @throws {@link DuplicateMessageError} when the pair is there already; the transaction must then be rolled back
   */
  abstract record(messageId: string, handler: string): Promise<void>;

  /** Stores a message in the inbox's dead letters, in a transaction of its own. */
  abstract setAside(message: RejectedMessage): Promise<void>;

  /** Deletes `limit` inbox rows at most that were recorded over `retentionMs` ago, by the database's clock. @returns how many */
  abstract purge(retentionMs: number, limit: number): Promise<number>;
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
