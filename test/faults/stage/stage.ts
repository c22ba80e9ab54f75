import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventLog, monotonicMs } from '../history/event-log.ts';
import type { FaultWindow } from '../history/records.ts';
import { LEASE_MS } from '../plan/plan.ts';
import type { PairName, PlannedFault } from '../plan/fault.ts';
import { START_AGAIN, environmentOf } from '../processes/settings.ts';
import { ordinaryKeys, refusedKey } from '../processes/topology.ts';
import { TcpProxy } from '../proxy/tcp-proxy.ts';
import { brokerOf, type Broker } from './broker.ts';
import { Child } from './child.ts';
import { FaultsDatabase } from './database.ts';
import { RestartableServer, SERVICES_OF } from './servers.ts';

export type Role = 'relay' | 'writer';

/** A process on the stage, and its ways to the servers. */
export interface Actor {
  readonly role: Role;
  readonly child: Child;
  readonly proxies: { readonly database: TcpProxy; readonly broker: TcpProxy };
}

const PROGRAMS: Readonly<Record<Role, string>> = {
  relay: fileURLToPath(new URL('../processes/relay.process.ts', import.meta.url)),
  writer: fileURLToPath(new URL('../processes/writer.process.ts', import.meta.url)),
};
const MAX_BOOTS = 30;

/** Everything that takes part in a run: two servers, processes, proxies between them, and what is written down. */
export class Stage {
  readonly pair: PairName;
  readonly directory: string;
  readonly databaseServer: RestartableServer;
  readonly brokerServer: RestartableServer;
  readonly database: FaultsDatabase;
  readonly broker: Broker;
  /** What must not happen, whatever the checker says: a process that ends by itself, one that can't be stopped. */
  readonly incidents: string[] = [];
  readonly windows: FaultWindow[] = [];
  /** That were provoked, as the database has counted them. */
  deadlocks = 0;
  /** Names of relays, with the times at which their processes ended. */
  readonly ends = new Map<string, number>();
  readonly relayNames: string[] = [];
  readonly writerNames: string[] = [];
  readonly #actors = new Set<Actor>();
  readonly #log: EventLog<FaultWindow>;
  #isOver = false;

  /** Starts the servers. @param directory for the servers' data, and for histories and logs */
  static async open(pair: PairName, directory: string): Promise<Stage> {
    const { database, broker } = SERVICES_OF[pair];
    mkdirSync(join(directory, 'history'), { recursive: true });
    const [databaseServer, brokerServer] = await Promise.all([
      RestartableServer.start(database, directory),
      RestartableServer.start(broker, directory),
    ]);
    return new Stage(pair, directory, databaseServer, brokerServer);
  }

  private constructor(
    pair: PairName,
    directory: string,
    databaseServer: RestartableServer,
    brokerServer: RestartableServer,
  ) {
    this.pair = pair;
    this.directory = directory;
    this.databaseServer = databaseServer;
    this.brokerServer = brokerServer;
    this.database = new FaultsDatabase(pair, databaseServer.url);
    this.broker = brokerOf(pair, brokerServer.port);
    this.#log = new EventLog(this.historyFile('faults'));
  }

  async prepare(plan: readonly PlannedFault[]): Promise<void> {
    const refusals = plan.filter(({ kind }) => kind === 'refusal' || kind === 'poison');
    const keys = [...ordinaryKeys(), ...refusals.map(({ id }) => refusedKey(id))];
    await Promise.all([this.database.create(keys), this.broker.prepare()]);
  }

  /** Those that live and are not about to leave, oldest first. */
  actors(role: Role): Actor[] {
    return [...this.#actors].filter((actor) => actor.role === role && !actor.child.isEndWanted);
  }

  all(): Actor[] {
    return [...this.#actors];
  }

  async start(role: Role): Promise<Actor> {
    const names = role === 'relay' ? this.relayNames : this.writerNames;
    const name = `${role}-${names.length + 1}`;
    names.push(name);
    const proxies = {
      database: new TcpProxy(this.databaseServer.port),
      broker: new TcpProxy(this.brokerServer.port),
    };
    const [databasePort, brokerPort] = await Promise.all([
      proxies.database.listen(),
      proxies.broker.listen(),
    ]);
    const environment = environmentOf({
      pair: this.pair,
      name,
      historyFile: this.historyFile(name),
      databaseUrl: this.database.urlAt(databasePort),
      dbName: this.database.dbName,
      brokerPort,
      leaseMs: LEASE_MS,
    });
    return this.#boot(role, name, environment, proxies, 1);
  }

  /** A window in which a fault is there, from its first moment to the end of `work`. */
  async during(fault: PlannedFault, touches: readonly string[], work: () => Promise<unknown>): Promise<void> {
    const from = monotonicMs();
    try {
      await work();
    } finally {
      const window = { id: fault.id, kind: fault.kind, touches, from, to: monotonicMs() };
      this.windows.push(window);
      this.#log.append(window);
    }
  }

  historyFile(name: string): string {
    return join(this.directory, 'history', `${name}.jsonl`);
  }

  /** Ends what still runs, whatever state it is in. */
  async close(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#actors].map(({ child }) => child.kill()));
    await Promise.all([this.databaseServer.stop(), this.brokerServer.stop()]);
  }

  #boot(
    role: Role,
    name: string,
    environment: Record<string, string>,
    proxies: Actor['proxies'],
    boots: number,
  ): Actor {
    const child = new Child(
      name,
      PROGRAMS[role],
      environment,
      join(this.directory, 'history', `${name}.log`),
    );
    const actor: Actor = { role, child, proxies };
    this.#actors.add(actor);
    void child.ended.then(async ({ code, signal, at }) => {
      this.#actors.delete(actor);
      this.ends.set(name, at);
      // Where the database is away an application does not boot, and is started again.
      if (code === START_AGAIN && !child.isEndWanted && !this.#isOver && boots < MAX_BOOTS) {
        this.#boot(role, name, environment, proxies, boots + 1);
        return;
      }
      if (!child.isEndWanted && !this.#isOver)
        this.incidents.push(`${name} ended by itself (${signal ?? code})`);
      await Promise.all([proxies.database.close(), proxies.broker.close()]);
    });
    return actor;
  }
}
