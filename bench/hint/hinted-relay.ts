import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../test/services/wait.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';

const FILE = fileURLToPath(new URL('./hinted-relay.process.ts', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

/** What the process tells its parent; times are those of `monotonicMs`. */
export type HintedRelayMessage =
  { readonly kind: 'leased' } | { readonly kind: 'acknowledged'; readonly key: string; readonly at: number };

/** A relay in a process of its own, seen from the process that commits. */
export class HintedRelay {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #leased: Promise<void>;
  readonly #waiting = new Map<string, (at: number) => void>();

  constructor(
    { database: { name, url }, brokers }: DatabaseContext,
    { ormOptions }: OutboxDatabase,
    mode: 'hints' | 'tick',
  ) {
    this.#child = fork(FILE, [name, url, ormOptions.dbName!, brokers.join(','), mode], {
      // kafkajs asks for timers in the past.
      execArgv: ['--disable-warning=TimeoutNegativeWarning'],
    });
    this.#exited = once(this.#child, 'exit');
    this.#leased = new Promise((resolve) => {
      this.#child.on('message', (message: HintedRelayMessage) => {
        if (message.kind === 'leased') resolve();
        else this.acknowledge(message.key, message.at);
      });
    });
  }

  /** Resolves when it has its slots. */
  started(): Promise<void> {
    return within(START_LIMIT_MS, 'the start of a relay process', this.#leased);
  }

  /** @returns when the broker had the message with this key, by `monotonicMs` */
  acknowledgementOf(key: string): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(key, resolve));
  }

  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await within(STOP_LIMIT_MS, 'stopping a relay process', this.#exited).catch((error: unknown) => {
      this.#child.kill('SIGKILL');
      throw error;
    });
  }

  private acknowledge(key: string, at: number): void {
    this.#waiting.get(key)?.(at);
    this.#waiting.delete(key);
  }
}
