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
 *
 * @throws amqplib's error when the channel is closed: the message is delivered again
 */
export function acknowledge(context: unknown): void {
  if (context instanceof RmqContext) channelOf(context).ack(context.getMessage());
}

/** Has RabbitMQ deliver a message again, at once, to whichever of the queue's consumers. */
export function requeue(context: RmqContext): void {
  channelOf(context).nack(context.getMessage(), false, true);
}

/**
 * What a controller is to reject with for a message that is not done. Kafka: the one error that keeps the offset where
 * it is. Others: the error itself, for the transport to do with what it can.
 */
export function rejectionFor(context: unknown, error: unknown): unknown {
  if (context instanceof KafkaContext) return new KafkaRetriableException(messageOf(error));
  if (context instanceof InMemoryContext) context.fail(error);
  return error;
}

function channelOf(context: RmqContext): AcknowledgingChannel {
  return context.getChannelRef() as AcknowledgingChannel;
}
