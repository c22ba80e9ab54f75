import 'reflect-metadata';
import { connect } from 'node:net';
import { CqrsOutboxModule, type RelayOptions, type TransportOption } from '@cqrs-outbox/core';
import { MikroOrmOutbox, outboxEntities } from '@cqrs-outbox/mikro-orm';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MikroOrmModule } from '@mikro-orm/nestjs';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Transport } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { counterSchema, happeningSchema } from './domain.ts';
import type { ProcessSettings } from './settings.ts';
import { MAIN_TOPIC } from './topology.ts';

// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- its metadata comes as a dynamic module
class FaultsModule {}

/** An application as a user writes it; only its addresses lead through proxies. */
export function startApp(
  settings: ProcessSettings,
  relay: RelayOptions | false,
): Promise<INestApplicationContext> {
  const imports = [
    MikroOrmModule.forRoot({
      driver: settings.pair === 'mariadb-kafka' ? MariaDbDriver : PostgreSqlDriver,
      clientUrl: settings.databaseUrl,
      dbName: settings.dbName,
      entities: [counterSchema, happeningSchema, ...outboxEntities],
    }),
    ScheduleModule.forRoot(),
    CqrsOutboxModule.forRoot({
      source: 'faults',
      store: MikroOrmOutbox,
      transport: settings.pair === 'mariadb-kafka' ? kafka(settings) : rabbitMq(settings),
      slots: 8,
      relay,
    }),
  ];
  return NestFactory.createApplicationContext(
    { module: FaultsModule, imports },
    { logger: ['fatal', 'error', 'warn', 'log'], abortOnError: false },
  );
}

function kafka({ brokerPort, name }: ProcessSettings): TransportOption {
  const brokers = [`127.0.0.1:${brokerPort}`];
  return {
    transport: Transport.KAFKA,
    options: {
      client: {
        clientId: name,
        brokers,
        connectionTimeout: 1_000,
        requestTimeout: 5_000,
        retry: { retries: 2, initialRetryTime: 100 },
        // The broker tells its own address; each connection has to lead through the proxy all the same.
        socketFactory: ({ onConnect }) => connect(brokerPort, '127.0.0.1', onConnect).setNoDelay(true),
      },
      // An unknown topic is to be refused and not to be made.
      producer: { allowAutoTopicCreation: false },
    },
  };
}

function rabbitMq({ brokerPort }: ProcessSettings): TransportOption {
  return {
    transport: Transport.RMQ,
    options: {
      urls: [`amqp://guest:guest@127.0.0.1:${brokerPort}`],
      exchange: MAIN_TOPIC,
      exchangeType: 'topic',
      wildcards: true,
      socketOptions: { reconnectTimeInSeconds: 1, heartbeatIntervalInSeconds: 3 },
    },
  };
}
