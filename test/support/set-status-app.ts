import { NullTransport, RequestMediator, type CqrsOutboxOptions } from '@cqrs-outbox/core';
import type { MikroORM } from '@mikro-orm/sql';
import { createTestApp, type TestApp } from './app.ts';
import { databaseOptions, type DatabaseName } from './database.ts';
import { Order } from './orders.ts';
import { SetStatus, SetStatusHandler } from './set-status.ts';

/** An application whose one command is {@link SetStatus}, on a database of its own with the order that it changes. */
export class SetStatusApp {
  /** @param ormOptions beside those of the database, or in their place */
  static async start(
    database: DatabaseName,
    ormOptions: object = {},
    options: Partial<CqrsOutboxOptions> = {},
  ): Promise<SetStatusApp> {
    SetStatusHandler.alsoDo = async () => undefined;
    const test = await createTestApp({
      database,
      options: { transport: new NullTransport(), ...options },
      providers: [SetStatusHandler],
      orm: { ...databaseOptions(database), ...ormOptions },
      ownsDatabase: true,
    });
    await test.orm.em.fork().insert(Order, { id: 1, status: 'new' });
    return new SetStatusApp(test);
  }

  private constructor(private readonly test: TestApp) {}

  get app(): TestApp['app'] {
    return this.test.app;
  }

  get orm(): MikroORM {
    return this.test.orm;
  }

  send(status: string, events = 1): Promise<void> {
    return this.app.get(RequestMediator).send(SetStatus.of({ status, events }));
  }

  run<T>(sql: string): Promise<T[]> {
    return this.orm.em.fork().execute<T[]>(sql);
  }

  close(): Promise<void> {
    return this.test.close();
  }
}
