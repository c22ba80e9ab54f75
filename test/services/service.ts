/** The servers that tests and benches use, by the name that is written on the command line. */
export const SERVICE_NAMES = ['mariadb', 'postgres', 'pgbouncer', 'kafka', 'rabbitmq'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** The environment variable that says where each server listens: read by the finder, set for Jest. */
export const SERVICE_VARIABLES: Readonly<Record<ServiceName, string>> = {
  mariadb: 'MARIADB_URL',
  postgres: 'POSTGRES_URL',
  pgbouncer: 'PGBOUNCER_URL',
  kafka: 'KAFKA_BROKERS',
  rabbitmq: 'AMQP_URL',
};

/** A server that this process has started. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /** The server itself, not a wrapper around it: good for SIGSTOP and SIGCONT. */
  readonly pid: number;
  readonly logFile: string;
  /**
   * Ends the server and resolves when it is gone. The directory stays: `start(dir, port)` brings the same
   * server back with its data, as a restart does.
   * @param signal - Defaults to the server's own signal for an orderly end; SIGKILL is a crash.
   */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** What a service's file exports. */
export interface ServiceKind {
  readonly defaultUrl: string;
  /** Resolves when a login or, for Kafka, an admin request works; rejects with the reason otherwise. */
  probe(url: string): Promise<void>;
  /**
   * Starts the server from local binaries and resolves when {@link probe} works.
   * @param dir - Private to this server. An empty or absent one is set up first; one that was used is reused.
   * @param port - Defaults to a free one.
   */
  start(dir: string, port?: number): Promise<RunningServer>;
}

export interface FoundService {
  readonly name: ServiceName;
  readonly url: string;
  readonly source: 'environment' | 'default port' | 'started by this run';
  readonly tookMs: number;
  /** Set when this run has started it. */
  readonly pid?: number;
}

export interface MissingService {
  readonly name: ServiceName;
  readonly reason: string;
}

/** For messages and logs. */
export function withoutPassword(url: string): string {
  return url.replace(/:[^:@/]+@/, ':***@');
}
