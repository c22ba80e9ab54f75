import type { InjectionToken } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { ResolvedOptions } from '../../cqrs-outbox.options.js';
import { findProvided } from '../../find-provided.js';
import { closeInTime } from '../../transports/time-limit.js';
import type { OutboxRelay } from '../outbox-relay.js';
import { monotonicClock } from '../relay-clock.js';
import type { WakeUp } from '../wake-up.js';
import { CommitHints } from './commit-hints.js';
import { HeardHints } from './heard-hints.js';
import { HintAnnouncer } from './hint-announcer.js';
import { HintListener } from './hint-listener.js';

/** The hints between this process and others, where the option `commitHints` says so. */
export class ProcessHints {
  #hints: CommitHints | undefined;
  #announcer: HintAnnouncer | undefined;
  #stopNoting: (() => void) | undefined;
  #heard: HeardHints | undefined;
  #listener: HintListener | undefined;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly modules: ModulesContainer,
    private readonly relay: OutboxRelay,
    private readonly wakeUp: WakeUp,
  ) {}

  /** Finds what carries the hints, without connecting. @returns why it can't be used */
  load(): readonly string[] {
    const { commitHints: option } = this.options;
    if (option === undefined) return [];
    if (option instanceof CommitHints) this.#hints = option;
    else {
      const found = findProvided<unknown>(this.modules, option);
      if (!(found instanceof CommitHints)) return [missing(option, found)];
      this.#hints = found;
    }
    return this.#hints.faults().map((fault) => `commitHints: ${fault}`);
  }

  /** From now on other processes hear of commits of this one. */
  announce(): void {
    if (!this.#hints) return;
    const announcer = new HintAnnouncer(this.#hints, this.relay, monotonicClock, Math.random);
    this.#announcer = announcer;
    this.#stopNoting = this.wakeUp.listen((entries) => {
      announcer.note(entries);
    });
  }

  /** From now on the relay of this process hears of commits of others. */
  listen(): void {
    if (!this.#hints || !this.options.relay) return;
    const scope = { destinations: [...this.options.transports.keys()], slotCount: this.options.slots };
    this.#heard = new HeardHints(this.relay, scope, monotonicClock);
    this.#listener = new HintListener(this.#hints, this.#heard, monotonicClock, Math.random);
    this.#listener.start();
  }

  async stopListening(): Promise<void> {
    await closeInTime('the listening for hints', async () => {
      await this.#listener?.stop();
      await this.#heard?.stop();
    });
  }

  /** Until then commits are announced: requests are answered for a while after the relay has stopped. */
  async close(): Promise<void> {
    this.#stopNoting?.();
    await closeInTime('the last hint', async () => this.#announcer?.stop());
    await closeInTime('the hints', async () => this.#hints?.close());
  }
}

function missing(option: InjectionToken, found: unknown): string {
  if (option === CommitHints)
    return 'commitHints: true, but the store has none: leave it out, or give CommitHints of your own';
  const name = typeof option === 'function' ? option.name : String(option);
  return found === undefined
    ? `commitHints: no provider has the token ${name}`
    : `commitHints: the provider ${name} is no CommitHints`;
}
