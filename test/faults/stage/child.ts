import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { endingWithParent } from '../../services/parent-death.ts';
import { endWithThisProcess } from '../../services/last-resort.ts';
import { within } from '../../services/wait.ts';
import { monotonicMs } from '../history/event-log.ts';

const END_LIMIT_MS = 20_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** By the monotonic clock. */
  readonly at: number;
}

/** A relay or a writer: a process in a group of its own, which ends with this one in any case. */
export class Child {
  readonly name: string;
  readonly ended: Promise<Ending>;
  /** Whether its end is the run's own doing. */
  isEndWanted = false;
  #ending: Ending | undefined;
  #isReady = false;
  readonly #process: ChildProcess;

  /** @param script path of the program */
  constructor(name: string, script: string, environment: Record<string, string>, logFile: string) {
    this.name = name;
    const log = openSync(logFile, 'a');
    const warnings = ['ExperimentalWarning', 'TimeoutNegativeWarning'].map(
      (kind) => `--disable-warning=${kind}`,
    );
    const [program, ...args] = endingWithParent([process.execPath, ...warnings, script], 'SIGKILL');
    this.#process = spawn(program!, args, {
      env: { ...process.env, ...environment },
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    const forget = this.#process.pid ? endWithThisProcess(this.#process.pid, 'SIGKILL') : () => undefined;
    // A message to a process that has just died is lost, as planned.
    this.#process.on('error', () => undefined);
    this.#process.once('message', () => (this.#isReady = true));
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        forget();
        this.#ending = { code, signal, at: monotonicMs() };
        resolve(this.#ending);
      });
    });
  }

  /** Whether it has booted. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  send(message: object): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Whether a SIGSTOP holds it. */
  get isFrozen(): boolean {
    try {
      const [, state] =
        /^\d+ \(.*\) (\S)/s.exec(readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8')) ?? [];
      return state === 'T';
    } catch {
      return false;
    }
  }

  async kill(): Promise<Ending> {
    this.isEndWanted = true;
    this.signal('SIGKILL');
    return within(END_LIMIT_MS, `the end of ${this.name}`, this.ended);
  }

  /**
   * Asks it to end in order, which takes a while.
   *
   * @throws when it does not, or not in order; it has ended all the same
   */
  async leave(ask: () => void = () => this.signal('SIGTERM')): Promise<void> {
    this.isEndWanted = true;
    const wasReady = this.#isReady;
    ask();
    const ending = await within(END_LIMIT_MS, `the orderly end of ${this.name}`, this.ended).catch(
      async (error: unknown) => {
        await this.kill();
        throw error;
      },
    );
    // In the middle of its boot it has not had a chance to listen to a signal.
    if (ending.code !== 0 && wasReady) {
      throw new Error(`${this.name} did not end in order (${ending.signal ?? ending.code})`);
    }
  }
}
