import type { EventEmitter } from 'node:events';
import type { MikroORM } from '@mikro-orm/core';

/** What the three drivers have in common: methods that take a statement. */
type Driver = Record<string, (...args: unknown[]) => unknown>;

/** Is told of a statement before the driver is, and on which of its connections. */
export type OnStatement = (statement: string, connection: object) => void;

/** The methods of a connection by which MikroORM sends its statements: of mysql2 and pg one, of libsql two. */
const METHODS = ['query', 'execute', 'prepare', 'exec'] as const;

/** Counts every statement that reaches the driver, BEGIN, COMMIT and SAVEPOINT included, from when it is attached. */
export class StatementCounter {
  static async attach({ em }: MikroORM, onStatement?: OnStatement): Promise<StatementCounter> {
    const connection = em.getDriver().getConnection() as unknown as NativeConnection;
    const client = await connection.getNativeClient();
    const counter = new StatementCounter(onStatement);
    // The pools of mysql2 and pg say which connection they hand out; libsql has no pool.
    if ('on' in client) client.on('acquire', (acquired: Driver) => counter.listenTo(acquired));
    else counter.listenTo(client);
    return counter;
  }

  #statements: string[] = [];
  readonly #known = new WeakSet<object>();
  readonly #onStatement: OnStatement;

  private constructor(onStatement: OnStatement = () => undefined) {
    this.#onStatement = onStatement;
  }

  /** Takes the statements since the last time, oldest first. */
  take(): string[] {
    return this.#statements.splice(0);
  }

  private listenTo(connection: Driver): void {
    if (this.#known.has(connection)) return;
    this.#known.add(connection);
    for (const method of METHODS) {
      const original = connection[method];
      if (typeof original !== 'function') continue;
      connection[method] = (...args: unknown[]) => {
        const statement = textOf(args[0]);
        this.#statements.push(statement);
        this.#onStatement(statement, connection);
        return original.apply(connection, args);
      };
    }
  }
}

interface NativeConnection {
  getNativeClient(): Promise<Driver | EventEmitter>;
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  const { sql, text } = statement as { sql?: string; text?: string };
  return sql ?? text ?? '';
}
