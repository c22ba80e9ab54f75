import { AsyncLocalStorage } from 'node:async_hooks';
import type { PendingEvents } from './pending-events.js';
import type { RecordedEvent } from './recorded-event.js';

/** What is being executed, as far as the code that it calls must know. */
export interface Scope {
  /** The message that is being handled, for the correlation of what it causes. */
  readonly correlationId?: string | undefined;
  readonly causationId?: string | undefined;
  /** Set in a query that was sent inside a transaction: it reads through that transaction, but can't append to it. */
  readonly readOnly?: PendingEvents | undefined;
  /** The domain event that is being handled, before or after a commit: what is recorded now follows from it. */
  readonly cause?: RecordedEvent | undefined;
}

/** The scope of the current asynchronous call, one store per application. */
export class ExecutionScope {
  readonly #storage = new AsyncLocalStorage<Scope>();

  get current(): Scope {
    return this.#storage.getStore() ?? {};
  }

  /** Runs `work` with the current scope changed in some points. */
  run<T>(changes: Scope, work: () => Promise<T>): Promise<T> {
    return this.#storage.run({ ...this.current, ...changes }, work);
  }
}
