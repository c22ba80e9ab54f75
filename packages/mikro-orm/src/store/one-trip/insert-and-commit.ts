import type { CompiledQuery, DatabaseConnection } from 'kysely';

/** The ways by which a connection sends statements. */
export type SendingConnection = Pick<DatabaseConnection, 'executeQuery' | 'streamQuery'>;

/**
 * Sends the last INSERT of a transaction together with COMMIT, in one round trip; when the INSERT fails, the database leaves COMMIT out.
 * Rejects with what the INSERT, or else COMMIT, has failed with: nothing is committed then, unless the connection was lost.
 */
export type InsertAndCommit = (connection: SendingConnection, insert: CompiledQuery) => Promise<void>;
