import type { MikroOrmModuleOptions } from '@mikro-orm/nestjs';
import { LibSqlDriver } from '@mikro-orm/libsql';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MySqlDriver } from '@mikro-orm/mysql';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { type Broker, inMemoryBroker, kafkaBroker, rabbitMqBroker } from './broker.js';

/** All that differs from one deployment to the next. */
export interface MeetingsConfig {
  readonly database: MikroOrmModuleOptions;
  readonly broker: Broker;
  readonly port: number;
}

/**
 * Reads the configuration from the environment; this is the only place that does.
 *
 * | variable         | default            | values                                                            |
 * | ---------------- | ------------------ | ----------------------------------------------------------------- |
 * | `DATABASE_URL`   | `file:meetings.db` | `file:`, `mysql://`, `mariadb://`, `postgres://`, `postgresql://` |
 * | `BROKER_URL`     | `memory:`          | `memory:`, `kafka://host:port[,host:port]`, `amqp://`, `amqps://` |
 * | `CONSUMER_GROUP` | `meetings-service` | Kafka's consumer group, RabbitMQ's queue                          |
 * | `PORT`           | `3000`             | where HTTP listens; 0 takes a free one                            |
 */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): MeetingsConfig {
  const { DATABASE_URL, BROKER_URL, CONSUMER_GROUP, PORT } = environment;
  return {
    database: databaseOf(DATABASE_URL || 'file:meetings.db'),
    broker: brokerOf(BROKER_URL || 'memory:', CONSUMER_GROUP || 'meetings-service'),
    port: portOf(PORT || '3000'),
  };
}

function databaseOf(url: string): MikroOrmModuleOptions {
  switch (schemeOf(url)) {
    case 'file':
      return { driver: LibSqlDriver, dbName: url.slice('file:'.length) };
    case 'mysql':
      return { driver: MySqlDriver, clientUrl: url };
    case 'mariadb':
      return { driver: MariaDbDriver, clientUrl: url };
    case 'postgres':
    case 'postgresql':
      return { driver: PostgreSqlDriver, clientUrl: url };
    default:
      throw unknownScheme('DATABASE_URL', url, 'file:, mysql://, mariadb:// or postgres://');
  }
}

function brokerOf(url: string, group: string): Broker {
  switch (schemeOf(url)) {
    case 'memory':
      return inMemoryBroker();
    case 'kafka':
      return kafkaBroker(url.slice('kafka://'.length).split(','), group);
    case 'amqp':
    case 'amqps':
      return rabbitMqBroker(url, group);
    default:
      throw unknownScheme('BROKER_URL', url, 'memory:, kafka:// or amqp://');
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`PORT is ${JSON.stringify(text)}, but must be a number from 0 to 65535.`);
}

/** Empty for none. */
function schemeOf(url: string): string {
  return /^([a-z]+):/.exec(url)?.[1] ?? '';
}

/** Names the scheme alone: the rest of a URL may hold a password. */
function unknownScheme(variable: string, url: string, known: string): Error {
  const scheme = schemeOf(url);
  const found = scheme ? `has the scheme ${scheme}:` : 'has no scheme';
  return new Error(`${variable} ${found}, but must start with ${known}.`);
}
