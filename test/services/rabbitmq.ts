import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { requireProgram } from './commands.ts';
import { startServer } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';
import type { RunningServer } from './service.ts';
import { freePort } from './wait.ts';

export const defaultUrl = 'amqp://guest:guest@127.0.0.1:5672';
const HINT = 'Debian package rabbitmq-server';
/** The script itself: the one on Debian's PATH changes to the user rabbitmq and the machine's own node. */
const DEBIAN_SCRIPTS = '/usr/lib/rabbitmq/bin';

export async function probe(url: string): Promise<void> {
  const connection = await connect(url, { timeout: 3_000 });
  // A listener, because a connection that breaks while it closes would end the process.
  connection.on('error', () => undefined);
  await connection.close();
}

export interface RabbitMqSettings {
  /** The broker's `max_message_size`, in bytes; 128 MiB unless given. */
  readonly maxMessageBytes?: number;
}

/** Two processes: the broker, and epmd, Erlang's port mapper, which would otherwise outlive it as a daemon. */
export async function start(
  dir: string,
  port?: number,
  settings: RabbitMqSettings = {},
): Promise<RunningServer> {
  const program = requireProgram('rabbitmq-server', HINT, DEBIAN_SCRIPTS);
  mkdirSync(dir, { recursive: true });
  const chosen = port ?? (await freePort());
  const epmdPort = await freePort();
  const url = `amqp://guest:guest@127.0.0.1:${chosen}`;
  const logFile = join(dir, 'server.log');
  const epmd = await startEpmd(dir, epmdPort);
  const server = await startServer({
    name: 'rabbitmq',
    command: [program],
    cwd: dir,
    logFile,
    port: chosen,
    env: { ...process.env, ...environment(dir), ...(await ports(chosen, epmdPort, settings)) },
    ready: () => probe(url),
  }).catch((error: unknown) => epmd.stop().then(() => Promise.reject(error as Error)));
  const stop = (signal?: NodeJS.Signals) => server.stop(signal).finally(() => epmd.stop());
  return { pid: server.pid, stop, url, port: chosen, logFile };
}

function startEpmd(dir: string, port: number): Promise<ServerProcess> {
  return startServer({
    name: 'epmd',
    command: [requireProgram('epmd', HINT), '-port', `${port}`, '-address', '127.0.0.1'],
    cwd: dir,
    logFile: join(dir, 'epmd.log'),
    port,
    ready: () => Promise.resolve(),
  });
}

/** Everything that RabbitMQ would otherwise read or write in the machine's own directories. */
function environment(dir: string): NodeJS.ProcessEnv {
  writeFileSync(join(dir, 'enabled_plugins'), '[].\n');
  writeFileSync(join(dir, 'empty.conf'), '');
  return {
    // The Erlang cookie is made here.
    HOME: dir,
    RABBITMQ_CONF_ENV_FILE: join(dir, 'empty.conf'),
    RABBITMQ_CONFIG_FILE: join(dir, 'empty.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_PID_FILE: join(dir, 'pid'),
    RABBITMQ_LOGS: '-',
    // The script then becomes the broker instead of waiting for it, so that the pid is the broker's.
    RUNNING_UNDER_SYSTEMD: '1',
  };
}

/** The node's name stays the same over restarts, because its data lies in a directory of that name. */
async function ports(
  port: number,
  epmdPort: number,
  { maxMessageBytes }: RabbitMqSettings,
): Promise<NodeJS.ProcessEnv> {
  const limit = maxMessageBytes === undefined ? '' : ` -rabbit max_message_size ${maxMessageBytes}`;
  return {
    RABBITMQ_NODENAME: 'cqrs-outbox-test@localhost',
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: `${port}`,
    RABBITMQ_DIST_PORT: `${await freePort()}`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1}${limit}`,
    ERL_EPMD_PORT: `${epmdPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
}
