import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxKysely } from '../schema/tables.js';
import { PgPipeline } from './pg-pipeline.js';

/**
 * Makes one of a statement and the COMMIT behind it, which the database leaves out when the statement fails: one round trip in
 * place of two.
 */
export type CommitWith = (statement: CompiledQuery) => CompiledQuery;

/** Undefined where the database, or its driver, has nothing of the kind. */
export async function findCommitWith(
  client: OutboxKysely,
  dialect: SqlDialect,
): Promise<CommitWith | undefined> {
  switch (dialect) {
    case 'mysql':
      return findCompound(client);
    case 'postgresql':
      return findPipeline(client);
    case 'sqlite':
      // There is no round trip.
      return undefined;
  }
}

/** A compound statement outside of stored programs, which MariaDB has and MySQL has not. */
async function findCompound(client: OutboxKysely): Promise<CommitWith | undefined> {
  const commitWith: CommitWith = ({ sql, parameters }) =>
    CompiledQuery.raw(`begin not atomic ${sql}; commit; end`, [...parameters]);
  const isKnown = await isAccepted(client, commitWith(CompiledQuery.raw('start transaction')));
  return isKnown ? commitWith : undefined;
}

async function findPipeline(client: OutboxKysely): Promise<CommitWith | undefined> {
  const commit = CompiledQuery.raw('commit');
  const pipeline = new PgPipeline([CompiledQuery.raw('begin'), commit]);
  const isKnown = await isAccepted(client, toQuery(pipeline));
  // The COMMIT of a statement that was given up would take effect when the statement has ended after all.
  if (!isKnown || pipeline.hasTimeLimit) return undefined;
  return (statement) => toQuery(new PgPipeline([statement, commit]));
}

/** Kysely hands to `pg` what it takes for a text. */
function toQuery(pipeline: PgPipeline): CompiledQuery {
  return CompiledQuery.raw(pipeline as unknown as string);
}

/** What is tried is a transaction of nothing. */
async function isAccepted(client: OutboxKysely, query: CompiledQuery): Promise<boolean> {
  try {
    await client.executeQuery(query);
    return true;
  } catch {
    // Whatever the reason: two statements in place of one work everywhere.
    return false;
  }
}
