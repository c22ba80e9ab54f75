import { setTimeout as delay } from 'node:timers/promises';
import {
  DeadlockException,
  LockWaitTimeoutException,
  type Connection,
  type EntityManager,
} from '@mikro-orm/core';
import {
  AbstractSqlConnection,
  BaseMySqlPlatform,
  BasePostgreSqlPlatform,
  SqlitePlatform,
} from '@mikro-orm/sql';
import { CompiledQuery, sql, type RawBuilder } from 'kysely';
import type { SqlDialect } from '../schema/outbox-schema.js';
import type { OutboxDatabase, OutboxKysely, OutboxTransaction } from '../schema/tables.js';

/** How often a statement is tried again that lost a deadlock or waited too long for a lock. */
const MAX_LOCK_RETRIES = 5;
/** A random part of this is waited before, times the number of tries, in milliseconds. */
const LOCK_RETRY_MS = 20;

/** MikroORM's own connection pool, used past its entity manager: with Kysely, which MikroORM itself builds on. */
export class OutboxConnection {
  readonly dialect: SqlDialect;

  constructor(private readonly em: EntityManager) {
    const platform = em.getPlatform();
    if (platform instanceof BaseMySqlPlatform) this.dialect = 'mysql';
    else if (platform instanceof BasePostgreSqlPlatform) this.dialect = 'postgresql';
    else if (platform instanceof SqlitePlatform) this.dialect = 'sqlite';
    else
      throw new TypeError(
        `MikroOrmOutbox supports MySQL, MariaDB, PostgreSQL and SQLite, not ${platform.constructor.name}.`,
      );
  }

  /** The pool, connected. */
  async client(): Promise<OutboxKysely> {
    const connection = this.connection;
    await connection.ensureConnection();
    return connection.getClient<OutboxDatabase>();
  }

  /** Runs one statement without parameters. */
  async run(statement: string): Promise<void> {
    await (await this.client()).executeQuery(CompiledQuery.raw(statement));
  }

  /** Kysely's transaction out of MikroORM's, which is the same object. */
  asTransaction(transaction: unknown): OutboxTransaction {
    return transaction as OutboxTransaction;
  }

  /** The database's clock, in milliseconds since 1970; not the time at which its transaction began. */
  get now(): RawBuilder<number> {
    switch (this.dialect) {
      case 'mysql':
        return sql<number>`cast(unix_timestamp(sysdate(3)) * 1000 as signed)`;
      case 'postgresql':
        return sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;
      case 'sqlite':
        return sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
    }
  }

  /** MikroORM's typed exception for a driver's error. */
  convert(error: unknown): unknown {
    return error instanceof Error
      ? this.em.getPlatform().getExceptionConverter().convertException(error)
      : error;
  }

  /** Runs a statement or transaction that can be repeated, again when it was the victim of a lock. */
  async withLockRetries<T>(work: (client: OutboxKysely) => Promise<T>): Promise<T> {
    const client = await this.client();
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(client);
      } catch (error) {
        const exception = this.convert(error);
        const isLocked =
          exception instanceof DeadlockException || exception instanceof LockWaitTimeoutException;
        if (!isLocked || attempt > MAX_LOCK_RETRIES) throw exception;
        await delay(Math.random() * LOCK_RETRY_MS * attempt);
      }
    }
  }

  private get connection(): AbstractSqlConnection {
    const connection: Connection = this.em.getDriver().getConnection('write');
    if (connection instanceof AbstractSqlConnection) return connection;
    throw new TypeError('MikroOrmOutbox needs an SQL driver.');
  }
}
