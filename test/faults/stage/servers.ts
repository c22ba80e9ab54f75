import { join } from 'node:path';
import * as kafka from '../../services/kafka.ts';
import * as mariadb from '../../services/mariadb.ts';
import * as postgres from '../../services/postgres.ts';
import * as rabbitmq from '../../services/rabbitmq.ts';
import type { RunningServer, ServiceKind } from '../../services/service.ts';
import type { PairName } from '../plan/fault.ts';

const KINDS = { mariadb, postgres, kafka, rabbitmq } as const satisfies Record<string, ServiceKind>;
type StageService = keyof typeof KINDS;

/** The servers of a pair, database first. */
export const SERVICES_OF: Readonly<Record<PairName, { database: StageService; broker: StageService }>> = {
  'mariadb-kafka': { database: 'mariadb', broker: 'kafka' },
  'postgres-rabbitmq': { database: 'postgres', broker: 'rabbitmq' },
};

/** A server of the run's own, which can go away and come back with its data at the same port. */
export class RestartableServer {
  static async start(service: StageService, directory: string): Promise<RestartableServer> {
    const own = join(directory, service);
    return new RestartableServer(service, own, await KINDS[service].start(own));
  }

  readonly port: number;
  readonly url: string;
  #server: RunningServer | undefined;
  /** Faults that overlap take their turns. */
  #turn: Promise<unknown> = Promise.resolve();

  private readonly service: StageService;
  private readonly directory: string;

  private constructor(service: StageService, directory: string, server: RunningServer) {
    this.service = service;
    this.directory = directory;
    this.#server = server;
    this.port = server.port;
    this.url = server.url;
  }

  /** Takes the server away, for as long as `meanwhile` lasts. */
  interrupt(signal: 'SIGTERM' | 'SIGKILL', meanwhile: () => Promise<unknown>): Promise<void> {
    const interruption = this.#turn.then(async () => {
      // An orderly end is a different signal for each server, its default.
      await this.#server?.stop(signal === 'SIGKILL' ? this.#crash : undefined);
      this.#server = undefined;
      await meanwhile();
      this.#server = await KINDS[this.service].start(this.directory, this.port);
    });
    this.#turn = interruption.catch(() => undefined);
    return interruption;
  }

  async stop(): Promise<void> {
    await this.#turn;
    await this.#server?.stop();
  }

  /** After a SIGKILL PostgreSQL would leave its shared memory behind: SIGQUIT is its crash. */
  get #crash(): NodeJS.Signals {
    return this.service === 'postgres' ? 'SIGQUIT' : 'SIGKILL';
  }
}
