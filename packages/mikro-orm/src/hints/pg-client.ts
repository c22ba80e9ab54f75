/** A message of LISTEN. */
export interface Notification {
  readonly channel: string;
  readonly payload?: string | undefined;
  /** Of the server process that has sent it. */
  readonly processId: number;
}

/** The part of a client of `pg` that we use: MikroORM's driver has it, and this package does not import it. */
export interface PgClient {
  /** Of the server process behind it. */
  readonly processID: number | null;
  readonly connection: { readonly stream: { destroy(): void } };
  connect(): Promise<unknown>;
  query(text: string, values?: readonly unknown[]): Promise<unknown>;
  end(): Promise<void>;
  on(event: 'notification', listener: (notification: Notification) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

/** The part of a pool of `pg` that we use: what it makes its own clients of. */
interface PgPool {
  readonly Client: new (options: object) => PgClient;
  readonly options: { readonly password?: unknown; readonly application_name?: unknown };
}

/** For a connect, and for each statement. */
const LIMIT_MS = 5_000;
/** A peer that is gone without a word is noticed some seconds after that. */
const KEEP_ALIVE_MS = 10_000;

/**
 * A client that is none of the pool's, with the pool's own settings: host, TLS, password or what asks for it, and all that
 * `driverOptions` says. It is not connected yet.
 *
 * @param pool what MikroORM's connection works with
 */
export function dedicatedClient(pool: unknown): PgClient {
  if (!isPool(pool)) throw new TypeError("MikroORM's connection has no pool of pg, which LISTEN needs.");
  const { Client, options } = pool;
  return new Client({
    ...options,
    // Left out by the spread, since pg hides it.
    password: options.password,
    application_name: options.application_name ?? 'cqrs-outbox hints',
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    connectionTimeoutMillis: LIMIT_MS,
    query_timeout: LIMIT_MS,
  });
}

function isPool(pool: unknown): pool is PgPool {
  if (typeof pool !== 'object' || pool === null || !('Client' in pool) || !('options' in pool)) return false;
  return typeof pool.Client === 'function' && typeof pool.options === 'object';
}
