import type { Request, ResultOf } from '../messages/request.js';
import type { MessageContext } from '../messages/message-context.js';

/**
 * A class that handles one command or query. For a command, `execute` runs inside the unit of work, and its result
 * reaches the caller after the commit.
 */
export interface RequestHandler<T extends Request> {
  execute(request: T): Promise<ResultOf<T>>;
}

/**
 * A class that handles an event.
 *
 * For an event from a broker, `handle` runs in a transaction of its own, together with the inbox row that makes its
 * effect happen once. It has `consumer.handlerTimeoutMs` for that; a failure is tried again, unless it is a
 * {@link NonRetryableError}. For a domain event it runs in the transaction that recorded the event, or, with the phase
 * `after-commit`, when that has committed: in no transaction then, so that what it changes needs a flush, and what it
 * appends a command or a transaction of its own.
 */
export interface HandlesEvent<E extends object> {
  handle(event: E, context: MessageContext): Promise<void> | void;
  /** Called instead of `handle` when the payload is null: the aggregate `context.key` is gone. */
  handleTombstone?(context: MessageContext): Promise<void> | void;
}
