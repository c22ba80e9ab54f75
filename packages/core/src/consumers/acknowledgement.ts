import { setTimeout as delay } from 'node:timers/promises';
import { KafkaContext, KafkaRetriableException, RmqContext } from '@nestjs/microservices';
import { messageOf } from '../cqrs-outbox.error.js';
import { InMemoryContext } from '../transports/in-memory.transport.js';

/** The part of amqplib's channel that we use. */
interface AcknowledgingChannel {
  ack(message: unknown): void;
  nack(message: unknown, allUpTo: boolean, requeue: boolean): void;
}

/**
 * Says that a message is done. RabbitMQ: its acknowledgement. Kafka: nothing, as the offset moves when the controller
 * returns.
 */
export function acknowledge(context: unknown): void {
  if (context instanceof RmqContext) channelOf(context).ack(context.getMessage());
}

/**
 * Has a message delivered again after a while. RabbitMQ: requeued. Kafka: the error that keeps the offset where it is.
 * Others: the error itself, for the transport to do with what it can.
 *
 * @param retryDelayMs milliseconds
 */
export async function redeliver(context: unknown, error: unknown, retryDelayMs: number): Promise<void> {
  if (context instanceof RmqContext) {
    await delay(retryDelayMs);
    channelOf(context).nack(context.getMessage(), false, true);
    return;
  }
  if (context instanceof KafkaContext) {
    await delay(retryDelayMs);
    throw new KafkaRetriableException(messageOf(error));
  }
  if (context instanceof InMemoryContext) context.fail(error);
  throw error;
}

function channelOf(context: RmqContext): AcknowledgingChannel {
  return context.getChannelRef() as AcknowledgingChannel;
}
