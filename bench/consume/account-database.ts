import type { OutboxDatabase } from '../servers/outbox-database.ts';

/** One message, as far as the statements need it. */
export interface Credit {
  readonly messageId: string;
  readonly account: string;
  readonly amount: number;
}

/** What a run has left behind. */
export interface Outcome {
  readonly inboxRows: number;
  /** Of all accounts together. */
  readonly total: number;
}

/** A database of a way's own: the tables of the library, and accounts that messages credit. */
export interface AccountDatabase {
  readonly ormOptions: OutboxDatabase['ormOptions'];
  /** The database's clock in milliseconds since 1970, in SQL. */
  readonly now: string;
  /** By the raw driver, in one transaction: for each message its inbox row, and the UPDATE. */
  credit(credits: readonly Credit[]): Promise<void>;
  outcome(): Promise<Outcome>;
  /** As new, and nothing of the last run is left to be cleaned up. */
  reset(): Promise<void>;
  drop(): Promise<void>;
}

/** The name by which a hand-written consumer is in the inbox. */
export const HANDLER = 'CreditAccount';

/** What a handler does, by MikroORM: its own, and that of whoever writes the consumer by hand. */
export const UPDATE = 'update bench_account set total = total + ? where id = ?';
