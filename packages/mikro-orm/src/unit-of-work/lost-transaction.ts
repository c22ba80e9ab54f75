import type { SqlDialect } from '../schema/sql-dialect.js';

/** MySQL's deadlock: the transaction is gone, and with `autocommit = 0` the next statement would begin another. */
const ER_LOCK_DEADLOCK = 1213;
/** MySQL's "Transaction characteristics can't be changed while a transaction is in progress". */
const ER_CANT_CHANGE_TX_CHARACTERISTICS = 1568;
/** SQL states of constraints and of wrong statements, which undo their statement alone. */
const HARMLESS = /^(23|42)/;
/** PostgreSQL's "current transaction is aborted, commands ignored until end of transaction block". */
const IN_FAILED_SQL_TRANSACTION = '25P02';

interface DriverError {
  readonly errno?: number;
  readonly sqlState?: string;
  readonly code?: string;
  readonly fatal?: boolean;
  readonly message?: string;
}

/** Whether a constraint has refused a row, which is known only once the statement is at work. */
export function isConstraintViolation(error: unknown): boolean {
  const { sqlState, code = '' } = asDriverError(error);
  return (sqlState ?? code).startsWith('23');
}

/** Whether PostgreSQL has refused a statement, since one before it has failed. */
export function isRefusalOfAborted(error: unknown): boolean {
  return asDriverError(error).code === IN_FAILED_SQL_TRANSACTION;
}

/**
 * Whether the database has ended the transaction for this error of a statement. PostgreSQL never does: it waits for the
 * transaction's end. MySQL does for a deadlock and, by its settings, for other errors; SQLite for a full disk and the like, and
 * for `ON CONFLICT ROLLBACK`. Both are asked by a statement that is refused inside of a transaction, and changes nothing.
 */
export async function isGoneAfter(
  error: unknown,
  dialect: SqlDialect,
  send: (statement: string) => Promise<void>,
): Promise<boolean> {
  if (dialect === 'postgresql') return false;
  const { errno, sqlState = '' } = asDriverError(error);
  if (dialect === 'mysql' && errno === ER_LOCK_DEADLOCK) return true;
  if (dialect === 'mysql' && HARMLESS.test(sqlState)) return false;
  try {
    // In SQLite it opens the transaction that the ROLLBACK to come must find.
    await send(dialect === 'sqlite' ? 'begin' : 'set transaction read write');
    return true;
  } catch (refusal) {
    return !isRefusedInside(asDriverError(refusal), dialect);
  }
}

/** Whether a connection is lost for certain, and not only slow: by what `pg` and `mysql2` say of one without asking the server. */
export function isOfDeadConnection(error: unknown): boolean {
  const { fatal, message = '' } = asDriverError(error);
  return fatal === true || message.endsWith('is not queryable');
}

function isRefusedInside({ errno, message = '' }: DriverError, dialect: SqlDialect): boolean {
  if (dialect === 'mysql') return errno === ER_CANT_CHANGE_TX_CHARACTERISTICS;
  return message.includes('within a transaction');
}

function asDriverError(error: unknown): DriverError {
  return typeof error === 'object' && error !== null ? error : {};
}
