import { describe, expect, it } from '@jest/globals';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../../schema/sql-dialect.js';
import type { OutboxKysely } from '../../schema/tables.js';
import { COMMIT, findOneTrip, START } from './one-trip.js';

/** A database that answers as it is told, and remembers what it was asked. */
const databaseThat = (answer: (sql: unknown) => Promise<object>) => {
  const asked: unknown[] = [];
  const client = {
    executeQuery: ({ sql }: CompiledQuery) => {
      asked.push(sql);
      return answer(sql);
    },
  };
  return { asked, client: client as unknown as OutboxKysely };
};

const INSERT = CompiledQuery.raw('insert into t values (?)', [1]);

describe('Several statements in one', () => {
  it.each<SqlDialect>(['mysql', 'postgresql'])(
    'are not to be had where %s, or its driver, does not know it',
    async (dialect) => {
      const { client, asked } = databaseThat(() => Promise.reject(new Error('syntax error')));
      await expect(findOneTrip(client, dialect, undefined)).resolves.toBeUndefined();
      expect(asked).toHaveLength(1);
    },
  );

  it('are not looked for in SQLite', async () => {
    const { client, asked } = databaseThat(() => Promise.resolve({ rows: [] }));
    await expect(findOneTrip(client, 'sqlite', undefined)).resolves.toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('are tried with an empty transaction, and have the parameters of all', async () => {
    const { client, asked } = databaseThat(() => Promise.resolve({ rows: [] }));
    const oneTrip = await findOneTrip(client, 'mysql', undefined);
    expect(asked).toEqual(['begin not atomic start transaction; commit; end']);
    expect(oneTrip?.together([START, INSERT, INSERT, COMMIT])).toMatchObject({
      sql: 'begin not atomic start transaction; insert into t values (?); insert into t values (?); commit; end',
      parameters: [1, 1],
    });
  });

  it('do not end a transaction on MariaDB where the pool is none of mysql2', async () => {
    const { client } = databaseThat(() => Promise.resolve({ rows: [] }));
    for (const pool of [undefined, {}, { config: {}, query: () => undefined }])
      await expect(findOneTrip(client, 'mysql', pool)).resolves.toMatchObject({ insertAndCommit: undefined });
  });
});
