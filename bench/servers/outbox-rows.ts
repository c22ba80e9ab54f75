/** A row of `cqrs_outbox`, as the raw drivers read it. */
export interface RawRow {
  readonly id: string | number;
  readonly message_id: string;
  readonly message_key: string;
  readonly name: string;
  readonly version: number;
  readonly source: string;
  readonly occurred_at: string | number;
  readonly correlation_id: string;
  readonly content_type: string;
  readonly headers: string;
  readonly payload: Buffer;
}

/** The next batch is read while the one before it is deleted. */
export const CONNECTIONS = 2;

/** The table by the raw driver, as a hand-written loop uses it. */
export interface OutboxRows {
  select(after: string | number, limit: number): Promise<RawRow[]>;
  remove(ids: readonly (string | number)[]): Promise<void>;
  close(): Promise<void>;
}
