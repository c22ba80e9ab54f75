import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tail } from './commands.ts';
import type { SystemUser } from './commands.ts';
import { endWithThisProcess } from './last-resort.ts';
import { endingWithParent } from './parent-death.ts';
import { awaitFreePort, within } from './wait.ts';

const READY_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 100;

export interface ServerCommand {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly logFile: string;
  readonly port: number;
  readonly user?: SystemUser | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** For an orderly end; SIGTERM unless the server means something else by it. */
  readonly stopSignal?: NodeJS.Signals;
  /** For an end at once; SIGKILL unless the server would leave something behind. */
  readonly killSignal?: NodeJS.Signals;
  /** Rejects as long as the server is not usable. */
  ready(): Promise<void>;
}

export interface ServerProcess {
  readonly pid: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a server and waits until it is usable. The server gets a process group of its own, so that Ctrl-C
 * reaches the run alone, which then ends its servers. It ends with this process in any case.
 */
export async function startServer(server: ServerCommand): Promise<ServerProcess> {
  const killSignal = server.killSignal ?? 'SIGKILL';
  await awaitFreePort(server.port);
  const child = await spawnServer(server, killSignal);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const forget = endWithThisProcess(child.pid!, killSignal);
  void gone.then(forget);
  const stop = (signal: NodeJS.Signals = server.stopSignal ?? 'SIGTERM') => stopChild(child, gone, signal);
  try {
    await waitUntilReady(server, child);
  } catch (error) {
    await stop(killSignal);
    throw error;
  }
  return { pid: child.pid!, stop };
}

function spawnServer(server: ServerCommand, killSignal: NodeJS.Signals): Promise<ChildProcess> {
  const log = openSync(server.logFile, 'a');
  const [program, ...args] = endingWithParent(server.command, killSignal, server.user);
  const child = spawn(program!, args, {
    cwd: server.cwd,
    env: server.env ?? process.env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child));
    child.once('error', (error) => reject(new Error(`${server.name} did not start`, { cause: error })));
  });
}

async function waitUntilReady(server: ServerCommand, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_LIMIT_MS;
  const withLog = (what: string, cause?: unknown) =>
    new Error(`${server.name} ${what}; the end of its log:\n${tail(readFileSync(server.logFile, 'utf8'))}`, {
      cause,
    });
  for (;;) {
    if (hasExited(child)) throw withLog(`ended by itself (${child.exitCode ?? child.signalCode})`);
    try {
      await server.ready();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw withLog(`was not usable within ${READY_LIMIT_MS / 1000} s`, error);
    }
    await sleep(POLL_MS);
  }
}

async function stopChild(child: ChildProcess, gone: Promise<void>, signal: NodeJS.Signals): Promise<void> {
  if (hasExited(child)) return;
  child.kill(signal);
  try {
    await within(STOP_LIMIT_MS, `stopping process ${child.pid}`, gone);
  } catch {
    process.kill(-child.pid!, 'SIGKILL');
    await within(STOP_LIMIT_MS, `killing process ${child.pid}`, gone);
  }
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
