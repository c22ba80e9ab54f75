import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../test/services/wait.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';

const FILE = fileURLToPath(new URL('./relay.process.ts', import.meta.url));
const DRAIN_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;

/** What a relay has drained. */
export interface Drained {
  readonly published: number;
  readonly cpuMicroseconds: number;
}

/** What the process tells its parent. */
export type RelayProcessMessage =
  { readonly kind: 'slots'; readonly count: number } | ({ readonly kind: 'drained' } & Drained);

/** A relay in a process of its own, seen from its parent. */
export class RelayProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #slots = 0;

  constructor({ database: { name, url }, brokers }: DatabaseContext, { ormOptions }: OutboxDatabase) {
    this.#child = fork(FILE, [name, url, ormOptions.dbName!, brokers.join(',')], {
      // kafkajs asks for timers in the past.
      execArgv: ['--disable-warning=TimeoutNegativeWarning'],
    });
    this.#exited = once(this.#child, 'exit');
    this.#child.on('message', (message: RelayProcessMessage) => {
      if (message.kind === 'slots') this.#slots = message.count;
    });
  }

  /** How many slots it has at this moment. */
  get slots(): number {
    return this.#slots;
  }

  /** Has it drain its slots, whose rows must be visible already. */
  drain(): Promise<Drained> {
    const drained = new Promise<Drained>((resolve, reject) => {
      const listener = (message: RelayProcessMessage): void => {
        if (message.kind !== 'drained') return;
        this.#child.off('message', listener);
        resolve(message);
      };
      this.#child.on('message', listener);
      void this.#exited.then(() => reject(new Error('A relay process has ended too early')));
    });
    this.#child.send('drain');
    return within(DRAIN_LIMIT_MS, 'draining by a relay process', drained);
  }

  /** It gives its slots back before it ends. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await within(STOP_LIMIT_MS, 'stopping a relay process', this.#exited).catch((error: unknown) => {
      this.#child.kill('SIGKILL');
      throw error;
    });
  }
}
