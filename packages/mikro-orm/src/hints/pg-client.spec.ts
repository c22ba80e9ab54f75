import { describe, expect, it } from '@jest/globals';
import { PostgreSqlDriver, MikroORM } from '@mikro-orm/postgresql';
import { dedicatedClient } from './pg-client.js';

interface Settings {
  host: string;
  port: number;
  user: string;
  database: string;
  password: unknown;
  ssl: unknown;
  connectionParameters: Record<string, unknown>;
}

/** Nothing is connected. */
async function settingsOf(options: object): Promise<Settings> {
  const orm = await MikroORM.init({
    driver: PostgreSqlDriver,
    entities: [],
    discovery: { warnWhenNoEntities: false },
    ensureDatabase: false,
    ...options,
  } as never);
  return dedicatedClient(await orm.em.getConnection().getNativeClient()) as unknown as Settings;
}

describe('the client of the hints', () => {
  it("has MikroORM's host, user and database", async () => {
    const clientUrl = 'postgres://alice:secret@db.example.test:6543/other';
    const settings = await settingsOf({ clientUrl, dbName: 'meetings' });
    expect(settings).toMatchObject({
      host: 'db.example.test',
      port: 6543,
      user: 'alice',
      database: 'meetings',
    });
    expect(settings.password).toBe('secret');
  });

  it('asks for the password as often as it connects, where that is a function', async () => {
    const password = () => 'a token that ages';
    const settings = await settingsOf({ host: 'localhost', user: 'alice', password, dbName: 'meetings' });
    expect(settings.password).toBe(password);
  });

  it('has what driverOptions say', async () => {
    const ssl = { ca: 'a certificate', key: 'a key', rejectUnauthorized: true };
    const driverOptions = { ssl, options: '-c search_path=billing', application_name: 'meetings' };
    const settings = await settingsOf({ dbName: 'meetings', driverOptions });
    expect(settings.ssl).toMatchObject({ ca: 'a certificate', rejectUnauthorized: true });
    expect((settings.ssl as typeof ssl).key).toBe('a key');
    expect(settings.connectionParameters).toMatchObject({
      options: '-c search_path=billing',
      application_name: 'meetings',
    });
  });

  it('waits for nothing without end', async () => {
    const driverOptions = { connectionTimeoutMillis: 0, query_timeout: 0 };
    const settings = await settingsOf({ dbName: 'meetings', driverOptions });
    expect(settings).toMatchObject({ _connectionTimeoutMillis: 5_000 });
    expect(settings.connectionParameters).toMatchObject({ query_timeout: 5_000, keepalives: 1 });
  });

  it.each([undefined, null, {}, { Client: 'pg', options: {} }, { Client: Object, options: undefined }])(
    'is not made of %p',
    (pool) => {
      expect(() => dedicatedClient(pool)).toThrow('has no pool of pg');
    },
  );
});
