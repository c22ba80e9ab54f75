import { rmSync } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const servers = new Map<number, NodeJS.Signals>();
const directories = new Set<string>();
let watching = false;

/** Ends the server at once when this process ends or is told to. Returns the way to call that off. */
export function endWithThisProcess(pid: number, signal: NodeJS.Signals): () => void {
  watch();
  servers.set(pid, signal);
  return () => servers.delete(pid);
}

/** The same for a directory, which goes after the servers. */
export function removeWithThisProcess(dir: string): () => void {
  watch();
  directories.add(dir);
  return () => directories.delete(dir);
}

/** Nothing here may wait: an `exit` handler cannot, and a second Ctrl-C would cut a patient one short. */
function endEverything(): void {
  for (const [pid, signal] of servers) killQuietly(pid, signal);
  servers.clear();
  for (const dir of directories)
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  directories.clear();
}

function watch(): void {
  if (watching) return;
  watching = true;
  process.once('exit', endEverything);
  for (const signal of SIGNALS) process.once(signal, () => endOnSignal(signal));
}

/** A signal that somebody else listens to is theirs to act on; otherwise it does what it does by default. */
function endOnSignal(signal: NodeJS.Signals): void {
  endEverything();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
