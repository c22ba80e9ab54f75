import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram, unprivilegedUser } from './commands.ts';
import * as postgres from './postgres.ts';
import { startServer } from './server-process.ts';
import type { RunningServer } from './service.ts';
import { freePort } from './wait.ts';

export const defaultUrl = 'postgres://postgres@127.0.0.1:6432/postgres';
const HINT = 'Debian package pgbouncer';

export const { probe } = postgres;

/** With a PostgreSQL of its own behind it, and connections that are another client's after each transaction. */
export async function start(dir: string, port?: number): Promise<RunningServer> {
  const program = requireProgram('pgbouncer', HINT);
  const behind = await postgres.start(join(dir, 'postgres'));
  try {
    const bouncer = await startBouncer(program, dir, port ?? (await freePort()), behind.port);
    const stop = (signal?: NodeJS.Signals) => bouncer.stop(signal).finally(() => behind.stop());
    return { ...bouncer, stop };
  } catch (error) {
    await behind.stop();
    throw error;
  }
}

async function startBouncer(
  program: string,
  dir: string,
  port: number,
  behindPort: number,
): Promise<RunningServer> {
  const user = unprivilegedUser('postgres');
  const settings = join(dir, 'pgbouncer.ini');
  mkdirSync(dir, { recursive: true });
  writeFileSync(settings, settingsOf(port, behindPort));
  if (user) for (const path of [dir, settings]) chownSync(path, user.uid, user.gid);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const logFile = join(dir, 'server.log');
  const server = await startServer({
    name: 'pgbouncer',
    command: [program, settings],
    cwd: dir,
    logFile,
    port,
    user,
    // SIGTERM of older versions, and SIGINT of all, wait for clients or servers.
    stopSignal: 'SIGQUIT',
    ready: () => probe(url),
  });
  return { ...server, url, port, logFile };
}

/**
 * Fewer connections to the server than a suite has, so that they are shared; they end soon, since one keeps its database from being
 * dropped. A login is tried again at once: the database may have been created meanwhile.
 */
function settingsOf(port: number, behindPort: number): string {
  return `
    [databases]
    * = host=127.0.0.1 port=${behindPort} user=postgres
    [pgbouncer]
    listen_addr = 127.0.0.1
    listen_port = ${port}
    unix_socket_dir =
    auth_type = any
    pool_mode = transaction
    default_pool_size = 3
    server_idle_timeout = 1
    server_login_retry = 0
    ignore_startup_parameters = extra_float_digits
  `.replace(/^ +/gm, '');
}
