/** What the relay knows of a destination. */
export interface DestinationHealth {
  readonly destination: string;
  /** `down` from the first failure to reach the broker, or the database, until the next success. */
  readonly state: 'up' | 'down';
  /** Why it is down. */
  readonly reason?: string;
  readonly downSince?: Date;
  /** Failures in a row. */
  readonly failures: number;
}
