import { Logger } from '@nestjs/common';
import type { DatabaseConnection } from 'kysely';
import type { OutboxConnection } from '../store/outbox-connection.js';

const logger = new Logger('CqrsOutbox');

/**
 * Cancels the statement that a connection is at work on when a signal says so: the rollback would wait for its end, which may be
 * that of a lock. Told to MikroORM, the signal would cost each statement listeners of its own.
 * Where it does not work, the end of the statement is waited for.
 */
export class StatementCancellation {
  #inFlight = 0;
  #cancelling: Promise<void> | undefined;

  constructor(
    private readonly connection: DatabaseConnection,
    private readonly outbox: OutboxConnection,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', this.onAbort);
  }

  /** A statement is sent. */
  begin(): void {
    this.#inFlight++;
  }

  /** It has ended, or was cancelled. @returns what is to be waited for before the next one is sent */
  end(): Promise<void> | undefined {
    this.#inFlight--;
    return this.#cancelling;
  }

  /** To be called before the connection goes back to its pool. @returns what is to be waited for before that */
  stop(): Promise<void> | undefined {
    this.signal.removeEventListener('abort', this.onAbort);
    return this.#cancelling;
  }

  private readonly onAbort = (): void => {
    if (this.outbox.canCancel && this.#inFlight > 0) this.#cancelling = this.cancel();
  };

  private async cancel(): Promise<void> {
    try {
      await this.connection.collectSessionInfo?.();
      const client = await this.outbox.client();
      await this.connection.cancelQuery?.((consumer) => client.getExecutor().provideConnection(consumer));
    } catch (error) {
      // pg's way to say that the statement has ended meanwhile is a TypeError.
      if (this.#inFlight > 0) logger.warn(`A statement could not be cancelled: ${String(error)}`);
    }
  }
}
