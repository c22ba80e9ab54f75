import type { Notification, PgClient } from './pg-client.js';

/** How long a connection that is closed may take to say goodbye. */
const GOODBYE_MS = 1_000;

interface Listener {
  readonly onHint: (hint: string) => void;
  readonly onLost: (reason: unknown) => void;
}

/** A connection to PostgreSQL that does nothing but LISTEN and NOTIFY on one channel. After a failure it is closed. */
export class NotifyConnection {
  #listener: Listener | undefined;
  #lastStatement: Promise<unknown> = Promise.resolve();
  #hasEnded = false;

  /** @param onEnd called once, when it can't be used any more */
  static async open(client: PgClient, channel: string, onEnd: () => void): Promise<NotifyConnection> {
    const connection = new NotifyConnection(client, channel, onEnd);
    await connection.attempt(() => client.connect());
    return connection;
  }

  private constructor(
    private readonly client: PgClient,
    private readonly channel: string,
    private readonly onEnd: () => void,
  ) {
    client.on('error', (error) => this.fail(error));
    client.on('end', () => this.fail(new Error('The connection of the hints has ended')));
    client.on('notification', (notification) => this.hear(notification));
  }

  /** A transaction of its own, and of nothing else: NOTIFY takes a lock at its commit that the whole server has once. */
  async notify(hint: string): Promise<void> {
    await this.run('select pg_notify($1, $2)', [this.channel, hint]);
  }

  /** @returns what ends it */
  async listen(listener: Listener): Promise<() => Promise<void>> {
    this.#listener = listener;
    await this.run(`listen "${this.channel}"`);
    return async () => {
      // One that was given up may end when another listens already.
      if (this.#listener !== listener) return;
      this.#listener = undefined;
      if (!this.#hasEnded) await this.run(`unlisten "${this.channel}"`);
    };
  }

  async close(): Promise<void> {
    if (!this.#hasEnded) this.onEnd();
    this.#hasEnded = true;
    const timer = setTimeout(() => {
      this.client.connection.stream.destroy();
    }, GOODBYE_MS);
    try {
      await this.client.end();
    } finally {
      clearTimeout(timer);
    }
  }

  /** One after another, as pg wants it. */
  private run(statement: string, values?: readonly string[]): Promise<void> {
    const send = (): Promise<void> => this.attempt(() => this.client.query(statement, values));
    const running = this.#lastStatement.then(send, send);
    this.#lastStatement = running;
    return running;
  }

  private hear({ channel, payload, processId }: Notification): void {
    if (channel !== this.channel || processId === this.client.processID) return;
    this.#listener?.onHint(payload ?? '');
  }

  /** Whatever fails, it is not known what state the connection is in. */
  private async attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  private fail(reason: unknown): void {
    if (this.#hasEnded) return;
    // It may have failed already in what it does to end.
    this.close().catch(() => undefined);
    this.#listener?.onLost(reason);
  }
}
