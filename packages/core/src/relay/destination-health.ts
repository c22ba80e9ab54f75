/** What the relay of this process knows of a destination. */
export interface DestinationHealth {
  readonly destination: string;
  /** `down` from the first failure to reach the broker, or the database, until the next success. */
  readonly state: 'up' | 'down';
  /**
   * `closed` lets all through. `open` lets nothing through until a backoff is over; then it is `half-open`, and one single
   * entry shows whether the destination is back.
   */
  readonly breaker: 'closed' | 'open' | 'half-open';
  /** What failed: the destination, or what the relay itself needs, such as the database. */
  readonly cause?: FailureCause;
  /** Why it is down. */
  readonly reason?: string;
  readonly downSince?: Date;
  /** Failures in a row. */
  readonly failures: number;
}

/** Whose failure it is that nothing can be published. Neither uses up attempts of an entry. */
export type FailureCause = 'destination' | 'relay';
