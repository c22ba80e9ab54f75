import { Logger } from '@nestjs/common';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';
import type { OutboxKysely } from '../../schema/tables.js';
import type { InsertAndCommit } from './insert-and-commit.js';
import { findMariaDbCommit } from './mariadb-commit.js';
import { PgPipeline } from './pg-pipeline.js';
import { PgPreparedStatements } from './pg-prepared-statements.js';

/** `begin` would open a block in MariaDB's compound statement. */
export const START = CompiledQuery.raw('start transaction');
export const COMMIT = CompiledQuery.raw('commit');

/** What takes one round trip of several statements. PostgreSQL keeps them prepared. */
export interface OneTrip {
  /**
   * Makes one of several; when one of them fails, the database leaves out those behind it. The result is how many rows the last one has
   * written.
   */
  readonly together: (statements: readonly CompiledQuery[]) => CompiledQuery;
  /** Undefined where the database can begin a transaction so, but not end it. */
  readonly insertAndCommit: InsertAndCommit | undefined;
}

const logger = new Logger('CqrsOutbox');

const COUNT_ONLY = Symbol('cqrs-outbox:count only');

/** Says of a statement that nothing is read of its result but how many rows it has written. */
export function countOnly<R>(query: CompiledQuery<R>): CompiledQuery<R> {
  return { ...query, [COUNT_ONLY]: true } as CompiledQuery<R>;
}

/** Whether the statement may become a part of {@link OneTrip}. */
export function isCountOnly(query: CompiledQuery): boolean {
  return COUNT_ONLY in query;
}

/**
 * Undefined where the database, or its driver, has nothing of the kind.
 *
 * @param pool what `client` works with, if it is one of `pg` or `mysql2`
 */
export async function findOneTrip(
  client: OutboxKysely,
  dialect: SqlDialect,
  pool: unknown,
): Promise<OneTrip | undefined> {
  switch (dialect) {
    case 'mysql':
      if (!(await isAccepted(client, compound([START, COMMIT])))) return undefined;
      return { together: compound, insertAndCommit: await findMariaDbCommit(client, pool) };
    case 'postgresql':
      return findPipeline(client, pool);
    case 'sqlite':
      // There is no round trip.
      return undefined;
  }
}

/** A compound statement outside of stored programs, which MariaDB has and MySQL has not. */
function compound(statements: readonly CompiledQuery[]): CompiledQuery {
  const body = statements.map(({ sql }) => `${sql}; `).join('');
  return CompiledQuery.raw(
    `begin not atomic ${body}end`,
    statements.flatMap(({ parameters }) => parameters),
  );
}

async function findPipeline(client: OutboxKysely, pool: unknown): Promise<OneTrip | undefined> {
  const probe = new PgPipeline([START, COMMIT]);
  const isKnown = await isAccepted(client, toQuery(probe));
  // The COMMIT of a statement that was given up would take effect when the statement has ended after all.
  if (!isKnown || probe.hasTimeLimit) return undefined;
  const prepared = await PgPreparedStatements.find(pool);
  const together: OneTrip['together'] = (statements) => toQuery(new PgPipeline(statements, prepared));
  return {
    together,
    insertAndCommit: async (connection, insert) => {
      await connection.executeQuery(together([insert, COMMIT]));
    },
  };
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
  } catch (error) {
    // Whatever the reason: statements on their own work everywhere.
    logger.debug(`Each statement takes a round trip of its own: ${String(error)}`);
    return false;
  }
}
