import { describe, expect, it } from '@jest/globals';
import { CompiledQuery } from 'kysely';
import type { OutboxKysely } from '../../schema/tables.js';
import type { InsertAndCommit, SendingConnection } from './insert-and-commit.js';
import { findMariaDbCommit } from './mariadb-commit.js';

const INSERT = CompiledQuery.raw('insert into t values (?)', [1]);
const COMMIT = `execute immediate if(row_count() >= 1, 'commit', 'not committed')`;
const LOST = new Error('Connection lost');
const REFUSED = new Error('Duplicate entry');

/** What the server answers. */
interface Packet {
  readonly error?: Error;
}

/** The connection of the driver, as far as it is used here. */
class Driver {
  readonly sent: string[] = [];
  sequenceId = 0;
  readonly stream = { cork: () => undefined, uncork: () => undefined };

  format(sql: string, values: readonly unknown[]): string {
    return values.reduce<string>((text, value) => text.replace('?', String(value)), sql);
  }
}

/** As the driver makes it of a text. */
class Query {
  constructor(
    private readonly options: { readonly sql: string },
    private readonly callback: (error?: Error) => void,
  ) {}

  execute(packet: Packet | undefined, driver: Driver): boolean {
    if (!packet) driver.sent.push(this.options.sql);
    else if (packet.error) this.callback(packet.error);
    return packet !== undefined;
  }
}

/** As it is handed to the driver. */
interface Command {
  readonly sql: string;
  execute(packet: Packet | undefined, driver: Driver): boolean;
  onResult(error?: Error): void;
  stream(): AsyncIterable<never>;
}

const pool = {
  config: { connectionConfig: {} },
  query: (sql: string, callback: () => void) => {
    queueMicrotask(callback);
    return new Query({ sql }, callback);
  },
};

/** A connection that ends a command so, and keeps the errors of streams to itself as Kysely does with some. */
const connectionThat = (end: (command: Command) => void): SendingConnection => ({
  executeQuery: () => Promise.reject(new Error('not expected')),
  // eslint-disable-next-line require-yield
  async *streamQuery({ sql }) {
    const command = sql as unknown as Command;
    end(command);
    try {
      for await (const row of command.stream()) throw new Error(`not expected: ${String(row)}`);
    } catch {
      return;
    }
  },
});

const findBy = (connection: SendingConnection): Promise<InsertAndCommit | undefined> => {
  const executor = {
    provideConnection: (work: (connection: SendingConnection) => Promise<unknown>) => work(connection),
  };
  return findMariaDbCommit({ getExecutor: () => executor } as unknown as OutboxKysely, pool);
};
/** Ends them so. */
const run = async (end: (command: Command) => void, insert = INSERT): Promise<void> => {
  const insertAndCommit = await findBy(connectionThat((command) => command.onResult()));
  await insertAndCommit?.(connectionThat(end), insert);
};

describe("MariaDB's INSERT with COMMIT", () => {
  it('are both sent before one of them is answered, and end when both are', async () => {
    const driver = new Driver();
    await run((command) => {
      command.execute(undefined, driver);
      expect(driver.sent).toEqual(['insert into t values (1)', COMMIT]);
      expect(command.execute({}, driver)).toBe(false);
      // The driver expects the second's answer to begin anew.
      expect(driver.sequenceId).toBe(1);
      expect(command.execute({}, driver)).toBe(true);
    });
  });

  it('fail with what the INSERT was refused for, whatever comes behind it', async () => {
    const ends = [
      (command: Command) => void command.execute({ error: new Error('not committed') }, new Driver()),
      (command: Command) => command.onResult(LOST),
    ];
    for (const end of ends) {
      const running = run((command) => {
        command.execute(undefined, new Driver());
        command.execute({ error: REFUSED }, new Driver());
        end(command);
      });
      await expect(running).rejects.toBe(REFUSED);
    }
  });

  it('are sent one after the other where the INSERT is long, and COMMIT not when that is refused', async () => {
    const long = CompiledQuery.raw('insert into t values (?)', ['x'.repeat(70_000)]);
    for (const error of [undefined, REFUSED]) {
      const driver = new Driver();
      const running = run((command) => {
        command.execute(undefined, driver);
        expect(driver.sent).toHaveLength(1);
        const isDone = command.execute({ ...(error && { error }) }, driver);
        expect(isDone).toBe(error !== undefined);
        if (!isDone) command.execute({}, driver);
      }, long);
      await expect(
        running.then(
          () => undefined,
          (cause: unknown) => cause,
        ),
      ).resolves.toBe(error);
      expect(driver.sent.slice(1)).toEqual(error ? [] : [COMMIT]);
    }
  });

  it('fail when their connection is lost, also where Kysely says nothing of it', async () => {
    await expect(run((command) => command.onResult(LOST))).rejects.toBe(LOST);
  });

  it('are not to be had where the driver, or the server, refuses what is tried', async () => {
    const connection = connectionThat((command) => command.onResult(new Error('syntax error')));
    await expect(findBy(connection)).resolves.toBeUndefined();
  });

  it('are shown without their values', async () => {
    const shown: string[] = [];
    await run((command) => {
      shown.push(command.sql);
      command.onResult();
    });
    expect(shown).toEqual([`insert into t values (?); ${COMMIT}`]);
  });
});
