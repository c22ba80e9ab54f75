import type { CommitHints, StopListening } from '@cqrs-outbox/core';
import type { CommitHintsFixture } from '../commit-hints-harness.js';
import { HeardHints } from './heard-hints.js';

/** An end that listens, and what it hears. */
export interface ListeningEnd {
  readonly end: CommitHints;
  readonly hints: HeardHints;
  readonly stop: StopListening;
}

/** The ends of one test. */
export class Ends {
  readonly #open: CommitHints[] = [];
  readonly #listening: StopListening[] = [];

  constructor(private readonly fixture: CommitHintsFixture) {}

  async connect(): Promise<CommitHints> {
    const end = await this.fixture.connect();
    this.#open.push(end);
    return end;
  }

  async connectListener(): Promise<ListeningEnd> {
    return this.listen(await this.connect());
  }

  async listen(end: CommitHints): Promise<ListeningEnd> {
    const hints = new HeardHints();
    const stop = await end.listen(hints.onHint, hints.onLost);
    this.#listening.push(stop);
    return { end, hints, stop };
  }

  /** As an application does it: listening ends first, and what was stopped already is stopped again. */
  async close(): Promise<void> {
    for (const stop of this.#listening) await stop();
    for (const end of this.#open) await end.close();
  }
}
