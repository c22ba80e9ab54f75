import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import type { EventMediator } from '../mediators/event-mediator.js';
import type { Tracing } from '../tracing/tracing.js';
import { BatchRolledBackError } from './batches/batch-rolled-back.error.js';
import type { InboxStep, TransactionSharing } from './inbox-step.js';
import type { MessageDecoder, IgnoredMessage } from './message-decoder.js';
import { MAX_HEADER_BYTES, type ReceivedMessage } from './received-message.js';

/** What has become of a message that was dispatched. */
export type DispatchResult = 'handled' | 'duplicate' | IgnoredMessage;

/** Hands a received message to the handlers of its event, once. */
export class MessageDispatcher {
  constructor(
    private readonly decoder: MessageDecoder,
    private readonly mediator: EventMediator,
    private readonly inbox: InboxStep,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Decodes it anew each time: what a handler has changed in its event is not there at the next try.
   *
   * @param sharing left out, each handler has a transaction at once
   * @throws {@link CqrsOutboxError} with code `MESSAGE_REJECTED` for what can't be handled as it is
   * @throws {@link BatchRolledBackError} when it is to be dispatched again, alone
   * @throws what the handlers, or the database, have thrown: the message is not done then
   */
  dispatch(message: ReceivedMessage, sharing?: TransactionSharing): Promise<DispatchResult> {
    return this.tracing.processing(message, () => this.handle(message, sharing));
  }

  private async handle(
    message: ReceivedMessage,
    sharing: TransactionSharing | undefined,
  ): Promise<DispatchResult> {
    if (message.headerBytes > MAX_HEADER_BYTES) {
      const why = `its headers have ${message.headerBytes} bytes, more than ${MAX_HEADER_BYTES}`;
      throw new CqrsOutboxError('MESSAGE_REJECTED', why);
    }
    const decoded = this.decoder.decode(message);
    if ('ignored' in decoded) return decoded;
    const { event, eventClass, context } = decoded;
    if (sharing) this.inbox.setSharing(context, sharing);
    try {
      if (event === null) await this.mediator.sendTombstone(eventClass, context);
      else await this.mediator.send(event, context);
    } catch (error) {
      throw this.inbox.wasInRolledBackBatch(context) ? new BatchRolledBackError(error) : error;
    }
    return this.inbox.isDuplicate(context) ? 'duplicate' : 'handled';
  }
}

/** Whether no try can help, since the message can't be read. */
export function isRejection(error: unknown): error is CqrsOutboxError {
  return error instanceof CqrsOutboxError && error.code === 'MESSAGE_REJECTED';
}
