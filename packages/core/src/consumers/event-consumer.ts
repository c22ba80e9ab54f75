import { Inject, Injectable, Logger } from '@nestjs/common';
import { messageOf } from '../cqrs-outbox.error.js';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../cqrs-outbox.options.js';
import { Tracing } from '../tracing/tracing.js';
import { acknowledge, redeliver } from './acknowledgement.js';
import { MessageDispatcher } from './message-dispatcher.js';
import { Readiness } from './readiness.js';
import { describeMessage, receive } from './received-message.js';

/** Receives messages in a Nest controller and hands their events to the handlers. */
@Injectable()
export class EventConsumer {
  readonly #logger = new Logger(EventConsumer.name);

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly dispatcher: MessageDispatcher,
    private readonly readiness: Readiness,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Rebuilds the event, runs each of its handlers in a transaction with its inbox row, and acknowledges the message
   * when all have committed. To be awaited or returned by the controller.
   *
   * - A handler fails: the message is delivered again after `consumer.retryDelayMs`; handlers that have committed are
   *   skipped then. On Kafka this rejects with `KafkaRetriableException`, so that the offset stays. On RabbitMQ it
   *   requeues and resolves. On other transports it rejects with the error at once: the in-memory transport delivers
   *   again until the relay's `maxAttempts`, Redis, NATS, TCP and MQTT do not. Kafka and RabbitMQ do without a limit.
   * - No class has the event's name: acknowledged with a warning.
   * - No message of ours, an unreadable or invalid payload, an unknown version: logged, stored in the inbox's dead
   *   letters, acknowledged.
   *
   * A message that comes before the application has booted waits for that.
   *
   * RabbitMQ needs `noAck: false` in the server's options: with `true`, a crash loses what is being handled.
   *
   * @param payload what `@Payload()` gives
   * @param context what `@Ctx()` gives
   */
  async consume(payload: unknown, context: unknown): Promise<void> {
    await this.readiness.wait();
    const message = receive(payload, context);
    try {
      await this.tracing.processing(message, () => this.dispatcher.dispatch(message));
    } catch (error) {
      this.#logger.error(
        `Handling failed, ${describeMessage(message)} will be delivered again: ${messageOf(error)}`,
      );
      return redeliver(context, error, this.options.consumer.retryDelayMs);
    }
    acknowledge(context);
  }
}
