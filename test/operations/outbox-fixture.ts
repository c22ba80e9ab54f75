import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import {
  Outbox,
  OutboxRelay,
  type AppendOptions,
  type CqrsOutboxOptions,
  type OutboundEvent,
  type RelayOptions,
} from '@cqrs-outbox/core';
import type { MikroORM } from '@mikro-orm/sql';
import type { InjectionToken } from '@nestjs/common';
import { createTestApp, type TestApp, type TestAppSettings } from '../support/app.ts';
import {
  createDatabase,
  databaseOptions,
  dropDatabase,
  type DatabaseName,
  type DatabaseOptions,
} from '../support/database.ts';
import { WitnessTransport } from './witness-transport.ts';

/** No tick comes during a test: what happens is due to news, to time, or to the test. */
export const NEVER = '0 0 1 1 *';

/** A relay that tries again at once, and three times. */
export const QUICK: RelayOptions = { cron: NEVER, minBackoffMs: 1, maxBackoffMs: 1, maxAttempts: 3 };

type Settings = Partial<Omit<TestAppSettings, 'database' | 'orm' | 'options'>>;

/** One application on the database of the fixture. */
export class Instance {
  constructor(private readonly test: TestApp) {}

  get relay(): OutboxRelay {
    return this.get(OutboxRelay);
  }

  get em() {
    return this.test.orm.em.fork();
  }

  get<T>(token: InjectionToken<T>): T {
    return this.test.app.get<T>(token, { strict: false });
  }

  /** Appends events in one transaction. */
  append(events: readonly OutboundEvent[], options?: AppendOptions): Promise<void> {
    return this.em.transactional(async () => this.appendNow(events, options));
  }

  /** Appends events in the open transaction. */
  appendNow(events: readonly OutboundEvent[], options?: AppendOptions): void {
    for (const event of events) this.get(Outbox).append(event, options);
  }

  close(): Promise<void> {
    return this.test.close();
  }
}

/** All that a test leaves behind. */
const TABLES = [
  'cqrs_outbox',
  'cqrs_outbox_delayed',
  'cqrs_outbox_retry',
  'cqrs_outbox_dead_letter',
  'cqrs_outbox_archive',
  'cqrs_outbox_relay',
  'cqrs_outbox_slot',
  'cqrs_inbox',
  'cqrs_inbox_dead_letter',
];

/** A database that the tests of a suite use one after another; making one takes longer than most of them. */
class SuiteDatabase {
  readonly options: DatabaseOptions;
  readonly #file: string | undefined;
  #isMade = false;

  constructor(readonly name: DatabaseName) {
    // Two connections share a file; a database in memory belongs to one.
    this.#file = name === 'libsql' ? join(tmpdir(), `cqrs-outbox-${randomUUID()}.db`) : undefined;
    this.options = { ...databaseOptions(name), ...(this.#file ? { dbName: this.#file } : {}) };
  }

  /** Makes it, or empties it. */
  async prepare(orm: MikroORM): Promise<void> {
    if (!this.#isMade) await createDatabase(orm);
    else for (const table of TABLES) await orm.em.getConnection().execute(`delete from ${table}`);
    this.#isMade = true;
  }

  async drop(): Promise<void> {
    if (this.#isMade) await dropDatabase(this.options);
    if (this.#file) for (const suffix of ['', '-wal', '-shm']) rmSync(this.#file + suffix, { force: true });
  }
}

/** To be called in a suite. @returns what makes the fixture of a test */
export function outboxFixtures(
  name: DatabaseName,
): (options?: Partial<CqrsOutboxOptions>, settings?: Settings) => Promise<OutboxFixture> {
  const database = new SuiteDatabase(name);
  afterAll(() => database.drop());
  return async (options = {}, settings = {}) => {
    const fixture = new OutboxFixture(database);
    await fixture.start(options, {
      ...settings,
      beforeInit: async (app, orm) => {
        await database.prepare(orm);
        await settings.beforeInit?.(app, orm);
      },
    });
    return fixture;
  };
}

/**
 * Applications on one database, all with the same transports. The first of them relays only when it is told to, unless
 * its options say otherwise.
 */
export class OutboxFixture {
  readonly transport = new WitnessTransport();
  readonly audit = new WitnessTransport();
  readonly #open: Instance[] = [];

  constructor(private readonly database: SuiteDatabase) {}

  /** The application that was started first and still runs. */
  get first(): Instance {
    const [first] = this.#open;
    if (!first) throw new Error('No application runs.');
    return first;
  }

  /** Starts another application on the same database. */
  async start(options: Partial<CqrsOutboxOptions> = {}, settings: Settings = {}): Promise<Instance> {
    const transport = { default: this.transport, audit: this.audit };
    const test = await createTestApp({
      ...settings,
      database: this.database.name,
      orm: this.database.options,
      options: { transport, ...options },
    });
    const instance = new Instance(test);
    this.#open.push(instance);
    return instance;
  }

  async stop(instance: Instance): Promise<void> {
    this.#open.splice(this.#open.indexOf(instance), 1);
    await instance.close();
  }

  /** The only application gives way to another one, as at a deployment. */
  async restart(options: Partial<CqrsOutboxOptions> = {}): Promise<Instance> {
    for (const instance of [...this.#open]) await this.stop(instance);
    return this.start(options);
  }

  sql<Row extends object = Record<string, unknown>>(statement: string, parameters: unknown[] = []) {
    return this.first.em.getConnection().execute<Row[]>(statement, parameters);
  }

  async count(table: string): Promise<number> {
    const [row] = await this.sql<{ total: number | string }>(`select count(*) as total from ${table}`);
    return Number(row?.total);
  }

  /** Makes every waiting retry due, without waiting. */
  async makeRetriesDue(): Promise<void> {
    await this.sql('update cqrs_outbox_retry set retry_at = 0 where retry_at is not null');
  }

  /** Makes every delayed entry due, without waiting, in the order in which they would have been. */
  async makeDelayedDue(): Promise<void> {
    await this.sql('update cqrs_outbox_delayed set available_at = available_at - 1000000000000');
  }

  async close(): Promise<void> {
    for (const instance of [...this.#open]) await this.stop(instance);
  }
}
