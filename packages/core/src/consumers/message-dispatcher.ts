import { Injectable, Logger } from '@nestjs/common';
import { CqrsOutboxError } from '../cqrs-outbox.error.js';
import { EventMediator } from '../mediators/event-mediator.js';
import { WIRE_HEADERS } from '../messages/message.js';
import { Tracing } from '../tracing/tracing.js';
import { InboxStore } from './inbox-store.js';
import { MessageDecoder } from './message-decoder.js';
import { describeMessage, type ReceivedMessage } from './received-message.js';

/** Hands a received message to the handlers of its event, once; what can't be handled as it is, it sets aside. */
@Injectable()
export class MessageDispatcher {
  readonly #logger = new Logger('EventConsumer');

  constructor(
    private readonly decoder: MessageDecoder,
    private readonly mediator: EventMediator,
    private readonly inbox: InboxStore,
    private readonly tracing: Tracing,
  ) {}

  /** @throws what the handlers, or the database, have thrown: the message is not done then */
  async dispatch(message: ReceivedMessage): Promise<void> {
    let decoded;
    try {
      decoded = this.decoder.decode(message);
    } catch (error) {
      if (error instanceof CqrsOutboxError && error.code === 'MESSAGE_REJECTED')
        return this.reject(message, error.message);
      throw error;
    }
    if (!decoded) {
      this.#logger.warn(
        `No event class has the name of ${describeMessage(message)}: acknowledged, not handled.`,
      );
      return;
    }
    const { event, eventClass, context } = decoded;
    if (event === null) await this.mediator.sendTombstone(eventClass, context);
    else await this.mediator.send(event, context);
  }

  private async reject(message: ReceivedMessage, reason: string): Promise<void> {
    this.#logger.error(`Set aside as a dead letter, ${describeMessage(message)}: ${reason}.`);
    this.tracing.rejected();
    const { headers, payload, coordinates, topic, key } = message;
    const messageId = headers[WIRE_HEADERS.id];
    const name = headers[WIRE_HEADERS.name];
    const failure = { reason, stack: undefined, attempts: 0 };
    await this.inbox.setAside({ messageId, name, topic, key, coordinates, ...failure, headers, payload });
  }
}
