import mysql from 'mysql2';
import pg from 'pg';

type Query = (this: unknown, statement: unknown, ...rest: unknown[]) => unknown;

const DRIVERS = [mysql.Connection.prototype, pg.Client.prototype] as unknown as { query: Query }[];

/** What the drivers of MariaDB and PostgreSQL are told while work is done, whoever tells it: BEGIN and COMMIT included. */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const statements: string[] = [];
  const originals = DRIVERS.map((driver) => {
    const { query } = driver;
    const isOwn = Object.hasOwn(driver, 'query');
    driver.query = function (statement, ...rest) {
      statements.push(textOf(statement));
      return query.call(this, statement, ...rest);
    };
    return () => (isOwn ? (driver.query = query) : Reflect.deleteProperty(driver, 'query'));
  });
  try {
    await work();
  } finally {
    for (const restore of originals) restore();
  }
  return statements;
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  const { sql, text } = statement as { sql?: string; text?: string };
  return sql ?? text ?? '';
}

/** `insert cqrs_inbox`, `begin`: what a statement does, and to which table, whatever the dialect. */
export function kindOf(statement: string): string {
  const [verb = ''] = statement.toLowerCase().split(' ');
  const table = /(?:into|from|update) [`"]?(\w+)/.exec(statement.toLowerCase())?.[1];
  return table ? `${verb} ${table}` : verb;
}
