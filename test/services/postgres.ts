import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { requireProgram, runStep, unprivilegedUser } from './commands.ts';
import type { SystemUser } from './commands.ts';
import { startServer } from './server-process.ts';
import type { RunningServer } from './service.ts';
import { freePort } from './wait.ts';

export const defaultUrl = 'postgres://postgres@127.0.0.1:5432/postgres';
const DEBIAN_BINARIES = '/usr/lib/postgresql/*/bin';
const HINT = 'Debian package postgresql';

export async function probe(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  // Without a listener a connection that breaks later would end the process.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('select 1').finally(() => client.end());
}

export async function start(dir: string, port?: number): Promise<RunningServer> {
  const program = requireProgram('postgres', HINT, DEBIAN_BINARIES);
  const user = unprivilegedUser('postgres');
  const data = join(dir, 'data');
  if (!existsSync(join(data, 'PG_VERSION'))) await install(data, user);
  const chosen = port ?? (await freePort());
  const url = `postgres://postgres@127.0.0.1:${chosen}/postgres`;
  const logFile = join(dir, 'server.log');
  const server = await startServer({
    name: 'postgres',
    command: [program, '-D', data, '-p', `${chosen}`, '-h', '127.0.0.1', '-k', ''],
    cwd: data,
    logFile,
    port: chosen,
    user,
    // SIGTERM would wait for clients to leave; after SIGKILL shared memory would stay behind.
    stopSignal: 'SIGINT',
    killSignal: 'SIGQUIT',
    ready: () => probe(url),
  });
  return { ...server, url, port: chosen, logFile };
}

function install(data: string, user: SystemUser | undefined): Promise<void> {
  const program = requireProgram('initdb', HINT, DEBIAN_BINARIES);
  // In two steps: with one, the mode would also close the parent to the server's user.
  mkdirSync(dirname(data), { recursive: true });
  mkdirSync(data, { mode: 0o700 });
  for (const dir of user ? [dirname(data), data] : []) chownSync(dir, user!.uid, user!.gid);
  const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
  return runStep({ label: 'initdb', command: [program, '-D', data, ...options], limitMs: 60_000, user });
}
