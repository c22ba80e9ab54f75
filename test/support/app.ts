import { CqrsOutboxModule, type CqrsOutboxOptions } from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MikroORM as CoreMikroORM } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { INestApplication, Provider, Type } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import {
  createDatabase,
  databaseOptions,
  dropDatabase,
  type DatabaseName,
  type DatabaseOptions,
} from './database.ts';
import { testEntities } from './orders.ts';
import { silentLogger } from './silent-logger.ts';

export interface TestAppSettings {
  database: DatabaseName;
  options: Pick<CqrsOutboxOptions, 'transport'> & Partial<CqrsOutboxOptions> & { consume?: string[] };
  providers?: Provider[];
  controllers?: Type[];
  servers?: MicroserviceOptions[];
  /** Keeps a database that another application of the same test has made. */
  orm?: DatabaseOptions;
  /** Makes and drops the database that `orm` names. */
  ownsDatabase?: boolean;
  entities?: unknown[];
  beforeInit?: (app: INestApplication, orm: MikroORM) => Promise<void>;
}

export interface TestApp {
  app: INestApplication;
  orm: MikroORM;
  ormOptions: DatabaseOptions;
  close(): Promise<void>;
}

/** A complete application on a database of its own; `relay: false` unless told otherwise, so that tests decide when. */
export async function createTestApp(settings: TestAppSettings): Promise<TestApp> {
  const { database, options, providers = [], controllers = [], servers = [] } = settings;
  const ownsDatabase = settings.ownsDatabase ?? !settings.orm;
  const ormOptions = settings.orm ?? databaseOptions(database);
  const module = await Test.createTestingModule({
    imports: [
      MikroOrmModule.forRoot({
        ...ormOptions,
        entities: [...testEntities, ...outboxEntities, ...((settings.entities ?? []) as [])],
        logger: () => undefined,
      }),
      ScheduleModule.forRoot(),
      CqrsOutboxModule.forRoot({ source: 'tests', store: MikroOrmOutbox, relay: false, ...options }),
    ],
    providers,
    controllers,
  })
    .setLogger(silentLogger)
    .compile();
  const app = module.createNestApplication();
  const orm = app.get<MikroORM>(CoreMikroORM);
  if (ownsDatabase) await createDatabase(orm);
  await settings.beforeInit?.(app, orm);
  for (const server of servers) app.connectMicroservice<MicroserviceOptions>(server);
  await app.init();
  await app.startAllMicroservices();
  return {
    app,
    orm,
    ormOptions,
    close: async () => {
      await app.close();
      if (ownsDatabase) await dropDatabase(ormOptions);
    },
  };
}
