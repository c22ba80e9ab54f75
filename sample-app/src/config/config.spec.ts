import { describe, expect, it } from '@jest/globals';
import { LibSqlDriver } from '@mikro-orm/libsql';
import { MariaDbDriver } from '@mikro-orm/mariadb';
import { MySqlDriver } from '@mikro-orm/mysql';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { InMemoryTransport } from '@cqrs-outbox/core';
import { ServerKafka, ServerRMQ } from '@nestjs/microservices';
import { readConfig } from './config.js';

describe('readConfig', () => {
  it('is embedded by default', () => {
    const { database, broker, port } = readConfig({});
    expect(database).toEqual({ driver: LibSqlDriver, dbName: 'meetings.db' });
    expect(broker.transport).toBeInstanceOf(InMemoryTransport);
    expect(port).toBe(3000);
  });

  it.each([
    ['mysql://root@db/meetings', MySqlDriver],
    ['mariadb://root@db/meetings', MariaDbDriver],
    ['postgres://postgres@db/meetings', PostgreSqlDriver],
    ['postgresql://postgres@db/meetings', PostgreSqlDriver],
  ])('takes the database %s', (url, driver) => {
    expect(readConfig({ DATABASE_URL: url }).database).toEqual({ driver, clientUrl: url });
  });

  it('takes the brokers of Kafka', () => {
    const { transport, server } = readConfig({ BROKER_URL: 'kafka://a:9092,b:9092' }).broker;
    expect(transport).toMatchObject({ options: { client: { brokers: ['a:9092', 'b:9092'] } } });
    expect(server).toBeInstanceOf(ServerKafka);
  });

  it('takes RabbitMQ, which delivers to its queue again what was not acknowledged', () => {
    const url = 'amqp://guest:guest@mq:5672';
    const { transport, server } = readConfig({ BROKER_URL: url, CONSUMER_GROUP: 'billing' }).broker;
    expect(transport).toMatchObject({ options: { urls: [url], exchange: 'meetings' } });
    expect(server).toBeInstanceOf(ServerRMQ);
    expect(server).toMatchObject({ options: { queue: 'billing', noAck: false, prefetchCount: 1 } });
  });

  it('says which variable is wrong, and no password', () => {
    expect(() => readConfig({ DATABASE_URL: 'oracle://scott:tiger@db' })).toThrow(
      'DATABASE_URL has the scheme oracle:, but must start with file:, mysql://, mariadb:// or postgres://.',
    );
    expect(() => readConfig({ BROKER_URL: 'localhost' })).toThrow(
      /^BROKER_URL has no scheme, but must start with /,
    );
    expect(() => readConfig({ PORT: 'http' })).toThrow(
      'PORT is "http", but must be a number from 0 to 65535.',
    );
  });
});
