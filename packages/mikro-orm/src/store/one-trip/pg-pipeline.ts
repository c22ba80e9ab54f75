import type { CompiledQuery } from 'kysely';
import { preparedOn, type PgConnection, type PgPreparedStatements } from './pg-prepared-statements.js';

/** As `pg` takes it without asking what it is. */
type Parameter = string | Buffer | null;

interface Message {
  readonly text: string;
  readonly values: readonly Parameter[];
}

/** As Kysely reads it. */
interface PgResult {
  readonly command: string;
  readonly rowCount: number;
  readonly rows: readonly never[];
}

/**
 * Statements of which nobody reads rows, sent to PostgreSQL in one round trip: when one fails, the server leaves out those after it
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING). It is what `pg` calls a submittable, as
 * its cursors are: `client.query()` takes one in place of a text.
 */
export class PgPipeline implements PromiseLike<PgResult> {
  readonly #messages: readonly Message[];
  /** The names of those that are prepared, and of all that its connection has, once it is known which that is. */
  readonly #names: string[] = [];
  #prepared: Set<string> | undefined;
  readonly #settled = Promise.withResolvers<PgResult>();
  /** Of the last one that has ended, such as `INSERT 0 1`. */
  #tag = '';
  readonly #settle = (error: unknown): void => {
    if (error) this.#settled.reject(error);
    else this.#settled.resolve(readTag(this.#tag));
  };

  /** `pg` puts one in its place where it has a time limit of its own. */
  callback = this.#settle;

  /** @param statements each of which is prepared where `preparedStatements` says so, and kept */
  constructor(
    statements: readonly CompiledQuery[],
    private readonly preparedStatements?: PgPreparedStatements,
  ) {
    this.#messages = statements.map(({ sql, parameters }) => ({
      text: sql,
      values: parameters.map(toParameter),
    }));
  }

  /** For those who look at what is sent. */
  get sql(): string {
    return this.#messages.map(({ text }) => text).join('; ');
  }

  toString(): string {
    return this.sql;
  }

  /**
   * Whether `pg` gives up waiting by `query_timeout`, of which the server hears nothing; what traces `pg` may look the same. To be
   * asked when it was sent.
   */
  get hasTimeLimit(): boolean {
    return this.callback !== this.#settle;
  }

  then: PromiseLike<PgResult>['then'] = (...args) => this.#settled.promise.then(...args);

  submit(connection: PgConnection): unknown {
    connection.stream.cork();
    try {
      this.send(connection);
      return null;
    } catch (error) {
      // `pg` fails this one then, and goes on with the next.
      return error;
    } finally {
      connection.stream.uncork();
    }
  }

  private send(connection: PgConnection): void {
    this.#prepared = this.preparedStatements && preparedOn(connection);
    for (const { text, values } of this.#messages) {
      const name = this.preparedStatements?.nameOf(text) ?? '';
      if (name) this.#names.push(name);
      if (!this.#prepared?.has(name)) {
        // It may be there after all.
        if (name) connection.close({ type: 'S', name });
        connection.parse({ text, name });
      }
      connection.bind({ statement: name, values });
      connection.execute({});
    }
    connection.sync();
  }

  handleError(error: unknown): void {
    this.preparedStatements?.noteFailure(error);
    // Which of them are prepared is not known; and one that its table has left behind, by the type of a column, is prepared anew.
    for (const name of this.#names) this.#prepared?.delete(name);
    this.callback(error);
  }

  handleReadyForQuery(): void {
    for (const name of this.#names) this.#prepared?.add(name);
    this.callback(undefined);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#tag = text;
  }

  // Nobody reads rows.
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
}

function readTag(tag: string): PgResult {
  const words = tag.split(' ');
  return { command: words[0] ?? '', rowCount: Number(words.at(-1)) || 0, rows: [] };
}

function toParameter(value: unknown): Parameter {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw new TypeError(`A parameter of PgPipeline can't be of the type ${typeof value}.`);
}
