import { setTimeout as delay } from 'node:timers/promises';
import { CqrsOutboxError } from '@cqrs-outbox/core';
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
import { isLocalDatabase, keepStatements } from './kept-statements.js';
import { findOneTrip, type OneTrip } from './one-trip/one-trip.js';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxDatabase, OutboxKysely, OutboxTransaction } from '../schema/tables.js';

/** How often a statement is tried again that lost a deadlock or waited too long for a lock. */
const MAX_LOCK_RETRIES = 5;
/** A random part of this is waited before, times the number of tries, in milliseconds. */
const LOCK_RETRY_MS = 20;

/** MikroORM's own connection pool, used past its entity manager: with Kysely, which MikroORM itself builds on. */
export class OutboxConnection {
  readonly dialect: SqlDialect;

  #oneTrip: OneTrip | undefined;

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

  /** Whether a statement in flight can be cancelled: SQLite can't, and does not wait in one either. */
  get canCancel(): boolean {
    return this.dialect !== 'sqlite';
  }

  /** Undefined before {@link lookAtDatabase}, and where the database has nothing of the kind. */
  get oneTrip(): OneTrip | undefined {
    return this.#oneTrip;
  }

  /** Finds out what the database can do: at boot, when no transaction holds a connection that this one would wait for. */
  async lookAtDatabase(): Promise<void> {
    const client = await this.client();
    const native = await this.nativeClientIfAny();
    if (this.dialect === 'sqlite' && this.isLocal) keepStatements(native);
    // A dialect of the user's own need not be one of pg.
    if (this.dialect === 'postgresql' && !native) return;
    this.#oneTrip = await findOneTrip(client, this.dialect, native);
  }

  /** The pool, connected. */
  async client(): Promise<OutboxKysely> {
    await this.driver.ensureConnection();
    return this.driver.getClient<OutboxDatabase>();
  }

  /** Runs one statement without parameters. */
  async run(statement: string): Promise<void> {
    await (await this.client()).executeQuery(CompiledQuery.raw(statement));
  }

  /** What the pool is made of: `pg`'s own, for PostgreSQL. */
  async nativeClient(): Promise<unknown> {
    return this.driver.getNativeClient();
  }

  private get isLocal(): boolean {
    const { config } = this.em;
    return isLocalDatabase(config.get('dbName'), config.get('driverOptions'));
  }

  private async nativeClientIfAny(): Promise<unknown> {
    try {
      return await this.nativeClient();
    } catch {
      return undefined;
    }
  }

  /** Kysely's transaction out of MikroORM's, which is the same object. */
  asTransaction(transaction: unknown): OutboxTransaction {
    return transaction as OutboxTransaction;
  }

  /** The database's clock, in milliseconds since 1970; not the time at which its transaction began. */
  get now(): RawBuilder<number | string> {
    switch (this.dialect) {
      case 'mysql':
        return sql<number | string>`timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000`;
      case 'postgresql':
        return sql<number | string>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;
      case 'sqlite':
        return sql<number | string>`cast(unixepoch('subsec') * 1000 as integer)`;
    }
  }

  /** MikroORM's typed exception for a driver's error; our own errors stay as they are. */
  convert(error: unknown): unknown {
    if (!(error instanceof Error) || error instanceof CqrsOutboxError) return error;
    return this.em.getPlatform().getExceptionConverter().convertException(error);
  }

  /** Runs a statement or transaction that can be repeated, again when it was the victim of a lock. */
  async withLockRetries<T>(work: (client: OutboxKysely) => Promise<T>): Promise<T> {
    const client = await this.client();
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(client);
      } catch (error) {
        const exception = this.convert(error);
        if (!isLockVictim(exception) || attempt > MAX_LOCK_RETRIES) throw exception;
        await delay(Math.random() * LOCK_RETRY_MS * attempt);
      }
    }
  }

  /** MikroORM's own. */
  get driver(): AbstractSqlConnection {
    const connection: Connection = this.em.getDriver().getConnection('write');
    if (connection instanceof AbstractSqlConnection) return connection;
    throw new TypeError('MikroOrmOutbox needs an SQL driver.');
  }
}

/**
 * MikroORM's exceptions cover MySQL's 1213 and 1205, PostgreSQL's 40001 and 40P01, and SQLite's `database is locked`;
 * PostgreSQL's `lock_timeout` and SQLite's other kinds of SQLITE_BUSY and SQLITE_LOCKED are told by their codes.
 */
function isLockVictim(error: unknown): boolean {
  if (error instanceof DeadlockException || error instanceof LockWaitTimeoutException) return true;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && (code === '55P03' || /^SQLITE_(BUSY|LOCKED)/.test(code));
}
