import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { endWithThisProcess } from './last-resort.ts';

/** Debian keeps servers in sbin, which is not on everybody's PATH. */
const SYSTEM_DIRECTORIES = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

/** A user to run a server as; undefined means the current one. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

export interface Step {
  readonly label: string;
  readonly command: readonly string[];
  readonly limitMs: number;
  readonly user?: SystemUser | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/** The path of a program, or undefined. Patterns name directories with a version in them and give the highest version. */
export function findProgram(name: string, ...patterns: string[]): string | undefined {
  const versioned = patterns
    .flatMap((pattern) => globSync(pattern))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  const path = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return [...versioned, ...path, ...SYSTEM_DIRECTORIES].map((dir) => join(dir, name)).find(isExecutable);
}

/** Like {@link findProgram}, but its absence is the reason why a service is missing. */
export function requireProgram(name: string, hint: string, ...patterns: string[]): string {
  const path = findProgram(name, ...patterns);
  if (!path) throw new Error(`${name} is not installed (${hint})`);
  return path;
}

/** Runs a set-up step to its end. Its failure carries the end of its output. */
export function runStep(step: Step): Promise<void> {
  const [program, ...args] = step.command;
  return new Promise((resolve, reject) => {
    const options = { timeout: step.limitMs, killSignal: 'SIGKILL' as const, env: step.env, ...step.user };
    const child = execFile(program!, args, options, (error, stdout, stderr) => {
      forget();
      if (!error) return resolve();
      const why = error.killed ? `took more than ${step.limitMs / 1000} s` : `failed (${error.code})`;
      reject(new Error(`${step.label} ${why}\n${tail(`${stdout}${stderr}` || error.message)}`));
    });
    const forget = child.pid ? endWithThisProcess(child.pid, 'SIGKILL') : () => undefined;
    child.stdin?.end();
  });
}

/** The user that a server which refuses root has to run as: its own one where Debian made it, else nobody. */
export function unprivilegedUser(preferred: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of [preferred, 'nobody']) {
    try {
      return { uid: numericId('-u', name), gid: numericId('-g', name) };
    } catch {
      // No such user: the next name is tried.
    }
  }
  throw new Error(`root may not run this server, and there is neither a user ${preferred} nor nobody`);
}

/** The last lines of a text, indented, for an error message. */
export function tail(text: string, lines = 15): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `    | ${line}`)
    .join('\n');
}

function numericId(flag: string, user: string): number {
  return Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'] }).toString());
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
