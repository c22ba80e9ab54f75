import type { DatabaseConnection } from 'kysely';
import type { SendingConnection } from '../store/one-trip/insert-and-commit.js';
import type { StatementFilter } from './guarded-connection.js';

/** The way to the database past the filter, and what takes the filter away. */
export interface PatchedConnection {
  readonly past: SendingConnection;
  readonly restore: () => void;
}

/** Puts the filter before a connection that others have already, who keep it: a transaction that was opened elsewhere. */
export function patchConnection(connection: DatabaseConnection, filter: StatementFilter): PatchedConnection {
  // Called on the connection; bound, they would be wrapped once more by each transaction.
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const { executeQuery, streamQuery } = connection;
  const filtered: Pick<DatabaseConnection, 'executeQuery' | 'streamQuery'> = {
    executeQuery: (...args) => filter.execute(...args),
    streamQuery: (...args) => filter.stream(...args),
  };
  Object.assign(connection, filtered);
  return {
    past: {
      executeQuery: (...args) => executeQuery.apply(connection, args) as never,
      streamQuery: (...args) => streamQuery.apply(connection, args) as never,
    },
    restore: () => Object.assign(connection, { executeQuery, streamQuery }),
  };
}
