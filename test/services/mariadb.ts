import { existsSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { requireProgram, runStep } from './commands.ts';
import { startServer } from './server-process.ts';
import type { RunningServer } from './service.ts';
import { freePort } from './wait.ts';

export const defaultUrl = 'mysql://root@127.0.0.1:3306';
const HINT = 'Debian package mariadb-server';

export async function probe(url: string): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 3_000 });
  try {
    await connection.query('select 1');
  } finally {
    connection.destroy();
  }
}

export async function start(dir: string, port?: number): Promise<RunningServer> {
  const mariadbd = requireProgram('mariadbd', HINT);
  const data = join(dir, 'data');
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(data, 'mysql'))) await install(data);
  const chosen = port ?? (await freePort());
  const url = `mysql://root@127.0.0.1:${chosen}`;
  const logFile = join(dir, 'server.log');
  const server = await startServer({
    name: 'mariadb',
    command: [mariadbd, ...common(data), ...network(chosen)],
    cwd: dir,
    logFile,
    port: chosen,
    ready: () => probe(url),
  });
  return { ...server, url, port: chosen, logFile };
}

/** `normal` gives root an empty password over TCP; Debian's default lets root in by the socket alone. */
function install(data: string): Promise<void> {
  const program = requireProgram('mariadb-install-db', HINT);
  const options = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
  return runStep({
    label: 'mariadb-install-db',
    command: [program, ...common(data), ...options],
    limitMs: 60_000,
  });
}

/** The server refuses to run as root unless it is told to. Durability stays at its defaults. */
function common(data: string): string[] {
  return ['--no-defaults', `--datadir=${data}`, `--user=${userInfo().username}`];
}

/** The socket's path is relative to the data directory: an absolute one may be longer than sockets allow. */
function network(port: number): string[] {
  return ['--bind-address=127.0.0.1', `--port=${port}`, '--socket=s.sock', '--skip-name-resolve'];
}
