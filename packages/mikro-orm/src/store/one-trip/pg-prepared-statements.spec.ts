import { describe, expect, it } from '@jest/globals';
import { PgPreparedStatements } from './pg-prepared-statements.js';

/** A pool whose connections say that they are of this process. */
const poolOf = (processID: number | null, pid: unknown) => {
  const given = { released: 0 };
  const client = {
    processID,
    query: () => Promise.resolve({ rows: [{ pid }] }),
    release: () => void (given.released += 1),
  };
  return { given, connect: () => Promise.resolve(client) };
};

describe('Prepared statements of PostgreSQL', () => {
  it.each<[string, unknown]>([
    ['who has accepted the connection is another than the server', poolOf(7, 8)],
    ['who has accepted the connection has not said which it is', poolOf(null, 8)],
    ['there is no connection to be had', { connect: () => Promise.reject(new Error('too many clients')) }],
    ['there is no pool of pg', { query: () => Promise.resolve({ rows: [] }) }],
    ['there is no pool', undefined],
  ])('are not to be had where %s', async (_, pool) => {
    await expect(PgPreparedStatements.find(pool)).resolves.toBeUndefined();
  });

  it('are to be had where it is the server, whatever its numbers are parsed to; the connection goes back', async () => {
    for (const pid of [7, '7']) {
      const pool = poolOf(7, pid);
      await expect(PgPreparedStatements.find(pool)).resolves.toBeInstanceOf(PgPreparedStatements);
      expect(pool.given.released).toBe(1);
    }
  });

  it('have one name for one text, in every application', () => {
    const [one, other] = [new PgPreparedStatements(), new PgPreparedStatements()];
    expect(one.nameOf('commit')).toMatch(/^cqrs_outbox_[0-9a-f]{16}$/);
    expect(other.nameOf('commit')).toBe(one.nameOf('commit'));
    expect(one.nameOf('rollback')).not.toBe(one.nameOf('commit'));
  });

  it('are 32 at most, and none of more than 1,024 characters', () => {
    const statements = new PgPreparedStatements();
    expect(statements.nameOf('x'.repeat(1_025))).toBe('');
    const names = Array.from({ length: 40 }, (_, index) =>
      statements.nameOf(`${'x'.repeat(1_000)} ${index}`),
    );
    expect(new Set(names.slice(0, 32)).size).toBe(32);
    expect(names.slice(32)).toEqual(Array.from({ length: 8 }, () => ''));
    expect(statements.nameOf(`${'x'.repeat(1_000)} 0`)).toBe(names[0]);
  });
});
