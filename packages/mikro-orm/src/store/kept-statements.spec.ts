import { describe, expect, it } from '@jest/globals';
import { isLocalDatabase, keepStatements } from './kept-statements.js';

/** A database that remembers what it was asked to prepare. */
class Database {
  readonly asked: string[] = [];
  prepare(sql: string): { sql: string } {
    this.asked.push(sql);
    return { sql };
  }
}

const INSERT = 'insert into cqrs_outbox (message_id) values (?)';

describe('Statements that libSQL keeps', () => {
  it.each([INSERT, 'insert into "cqrs_inbox" ("message_id") values (?)'])('are prepared once: %s', (sql) => {
    const database = new Database();
    keepStatements(database);
    keepStatements(database);
    expect(database.prepare(sql)).toBe(database.prepare(sql));
    expect(database.asked).toEqual([sql]);
  });

  it.each([
    'select * from cqrs_outbox',
    'insert into cqrs_outbox_delayed (message_id) values (?)',
    'insert into orders (id) values (1) -- insert into cqrs_outbox (',
    `insert into cqrs_outbox (${'x'.repeat(8_192)}) values (?)`,
  ])('are no others: %.70s', (sql) => {
    const database = new Database();
    keepStatements(database);
    expect(database.prepare(sql)).not.toBe(database.prepare(sql));
  });

  it('are 16 at most', () => {
    const database = new Database();
    keepStatements(database);
    const texts = Array.from({ length: 20 }, (_, index) => `${INSERT} -- ${index}`);
    for (const text of [...texts, ...texts]) database.prepare(text);
    expect(database.asked).toEqual([...texts, ...texts.slice(16)]);
  });

  it('are none where there is no database of the kind', () => {
    for (const other of [undefined, null, 'file.db', {}, { prepare: 1 }])
      expect(() => keepStatements(other)).not.toThrow();
  });

  it.each<[boolean, string | undefined, object]>([
    [true, ':memory:', {}],
    [true, 'orders.db', {}],
    [true, '/var/lib/orders.db', {}],
    [true, undefined, {}],
    [false, 'libsql://orders.example.com', {}],
    [false, 'https://orders.example.com', {}],
    [false, 'orders.db', { url: 'libsql://orders.example.com' }],
    [false, 'orders.db', { syncUrl: 'libsql://orders.example.com' }],
  ])('are of a local database: %s of %s with %j', (isLocal, dbName, driverOptions) => {
    expect(isLocalDatabase(dbName, driverOptions)).toBe(isLocal);
  });
});
