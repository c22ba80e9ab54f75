import { Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import type { RelayClock } from '../relay/relay-clock.js';
import { withTimeLimit } from '../transports/time-limit.js';
import type { InboxStore } from './inbox-store.js';

/** A database that has not answered by then is away. */
const ANSWER_LIMIT_MS = 5_000;
/** A question that hangs is not waited for any longer: its connection may be dead without a sign. */
const HANGING_MS = 60_000;

/** Tells whether the database is there, for all messages that ask at the same time by one statement. */
export class DatabaseProbe {
  readonly #logger = new Logger('EventConsumer');
  #asked: { at: number; answer: Promise<void> } | undefined;
  #isAway = false;

  constructor(
    private readonly inbox: InboxStore,
    private readonly clock: RelayClock,
  ) {}

  async isAway(): Promise<boolean> {
    try {
      await withTimeLimit(this.ask(), ANSWER_LIMIT_MS, 'Asking the database');
      if (this.#isAway) this.#logger.log('The database answers again: messages that have waited are tried.');
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway)
        this.#logger.warn(`The database is away, messages wait and no try is counted: ${messageOf(error)}`);
      this.#isAway = true;
    }
    return this.#isAway;
  }

  private ask(): Promise<void> {
    const now = this.clock.now();
    if (this.#asked && now - this.#asked.at < HANGING_MS) return this.#asked.answer;
    const answer = this.inbox.ping();
    const asked = { at: now, answer };
    this.#asked = asked;
    const forget = (): void => {
      if (this.#asked === asked) this.#asked = undefined;
    };
    answer.then(forget, forget);
    return answer;
  }
}
