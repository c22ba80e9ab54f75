import { CqrsOutboxModule, type CqrsOutboxOptions } from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import type { EntitySchema, EventSubscriber } from '@mikro-orm/core';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { INestApplicationContext, Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import type { OutboxDatabase } from '../servers/outbox-database.ts';

export interface AppSettings {
  readonly ormOptions: OutboxDatabase['ormOptions'];
  readonly transport: CqrsOutboxOptions['transport'];
  readonly providers?: Provider[];
  /** Beside those of the outbox. */
  readonly entities?: EntitySchema[];
  readonly subscribers?: EventSubscriber[];
  /** Where a measurement is of something else than the defaults. */
  readonly options?: Pick<CqrsOutboxOptions, 'relay' | 'slots' | 'housekeeping' | 'commitHints'>;
  /** The last moment before the relay starts. */
  readonly onStartup?: () => void;
}

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class BenchModule {}

/** Nest's options are a class that nobody constructs. */
type Options = Pick<
  NonNullable<Parameters<typeof NestFactory.createApplicationContext>[1]>,
  'logger' | 'abortOnError'
>;

/** What a user has: the module with the store and a broker, nothing tuned. */
export function startApp(settings: AppSettings): Promise<INestApplicationContext> {
  const {
    ormOptions,
    transport,
    providers = [],
    entities = [],
    subscribers = [],
    options,
    onStartup,
  } = settings;
  const imports = [
    MikroOrmModule.forRoot({ ...ormOptions, entities: [...outboxEntities, ...entities], subscribers }),
    ScheduleModule.forRoot(),
    CqrsOutboxModule.forRoot({
      source: 'bench',
      store: MikroOrmOutbox,
      transport,
      ...options,
      onStartup: onStartup ? [onStartup] : [],
    }),
  ];
  const nestOptions: Options = { logger: ['fatal', 'error', 'warn'], abortOnError: false };
  return NestFactory.createApplicationContext({ module: BenchModule, imports, providers }, nestOptions);
}
