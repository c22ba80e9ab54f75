import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeWithThisProcess } from './last-resort.ts';

/** Git-ignored. What outlasts a run, such as Kafka's jars, lies here; a run's own data in `run/<pid>`. */
export const SERVICES_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), '../../.services');

let created = 0;

export interface RunDirectory {
  readonly path: string;
  remove(): void;
}

/** A fresh directory for the data of this process's servers. Those of runs that were killed are removed. */
export function createRunDirectory(): RunDirectory {
  const base = isOpenToAll(SERVICES_DIRECTORY)
    ? join(SERVICES_DIRECTORY, 'run')
    : join(tmpdir(), 'cqrs-outbox-services');
  makeOpen(base);
  removeLeftovers(base);
  created += 1;
  const path = join(base, `${process.pid}-${created}`);
  rmSync(path, { recursive: true, force: true });
  makeOpen(path);
  const forget = removeWithThisProcess(path);
  const remove = () => {
    rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    forget();
  };
  return { path, remove };
}

/** PostgreSQL does not run as root, and its user cannot enter a clone in, say, root's home. */
function isOpenToAll(dir: string): boolean {
  if (process.getuid?.() !== 0) return true;
  makeOpen(dir);
  for (let at = dir; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

/** Whatever the umask is. */
function makeOpen(dir: string): void {
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
}

function removeLeftovers(base: string): void {
  for (const entry of readdirSync(base)) {
    if (!isAlive(Number.parseInt(entry, 10))) rmSync(join(base, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
