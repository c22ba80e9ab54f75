import { describe, expect, it } from '@jest/globals';
import { CompiledQuery } from 'kysely';
import type { SqlDialect } from '../schema/sql-dialect.js';
import type { OutboxKysely } from '../schema/tables.js';
import { findCommitWith } from './commit-with.js';

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

describe('A statement and COMMIT in one', () => {
  it.each<SqlDialect>(['mysql', 'postgresql'])(
    'is not to be had where %s, or its driver, does not know it',
    async (dialect) => {
      const { client, asked } = databaseThat(() => Promise.reject(new Error('syntax error')));
      await expect(findCommitWith(client, dialect)).resolves.toBeUndefined();
      expect(asked).toHaveLength(1);
    },
  );

  it('is not looked for in SQLite', async () => {
    const { client, asked } = databaseThat(() => Promise.resolve({ rows: [] }));
    await expect(findCommitWith(client, 'sqlite')).resolves.toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('is tried with an empty transaction, and made of one statement with its parameters', async () => {
    const { client, asked } = databaseThat(() => Promise.resolve({ rows: [] }));
    const commitWith = await findCommitWith(client, 'mysql');
    expect(asked).toEqual(['begin not atomic start transaction; commit; end']);
    expect(commitWith?.(INSERT)).toMatchObject({
      sql: 'begin not atomic insert into t values (?); commit; end',
      parameters: [1],
    });
  });
});
