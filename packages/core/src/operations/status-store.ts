/** What waits in one slot for one destination. */
export interface SlotBacklog {
  readonly destination: string;
  /** As rows carry it. */
  readonly slot: number;
  readonly pending: number;
  /** Milliseconds since the oldest was appended, by the application's clock that appended it. */
  readonly oldestAgeMs: number;
}

/** A key that waits: for a retry, or for a person. */
export interface ParkedKey {
  readonly destination: string;
  readonly key: string;
  readonly attempts: number;
  readonly error: string;
  /** Milliseconds until the retry is due, by the database's clock; undefined when a dead letter parks the key. */
  readonly retryInMs: number | undefined;
}

/** A database transaction that has been open for long. */
export interface OpenTransaction {
  /** The database's own id of its connection. */
  readonly connection: string;
  readonly ageMs: number;
  /** What it does or did last, if the database tells. */
  readonly statement: string | undefined;
}

/** What the tables tell. */
export interface OutboxFigures {
  readonly backlogs: readonly SlotBacklog[];
  /** The first 100. */
  readonly parkedKeys: readonly ParkedKey[];
  readonly parkedKeyCount: number;
  /** By destination. */
  readonly delayed: ReadonlyMap<string, number>;
  readonly deadLetters: ReadonlyMap<string, number>;
  /** Received messages that are set aside. */
  readonly inboxDeadLetters: number;
  /**
   * The oldest transaction, open for over a second, that has written: its entries, and what waits for its locks, are not
   * there yet. Undefined when there is none, or when the database does not tell (SQLite; MySQL without PROCESS).
   */
  readonly openTransaction: OpenTransaction | undefined;
}

/** Port: counts what is there, by plain reads. They read whole indexes: for a person or a scrape each minute, not for each request. */
export abstract class StatusStore {
  abstract read(): Promise<OutboxFigures>;
}
