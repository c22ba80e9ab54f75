import type { ConsumerDeserializer, IncomingEvent } from '@nestjs/microservices';
import { WIRE_HEADERS } from '../messages/message.js';

/**
 * For the options of a RabbitMQ server: hands every message of its queue to one `@EventPattern`, as on Kafka. So one
 * controller serves both brokers, and messages that are none of ours reach {@link EventConsumer.consume}, which sets
 * them aside. Without it, Nest rejects what is no packet of its own or has a pattern without a controller, and RabbitMQ
 * then drops it unless the queue has a dead-letter exchange.
 *
 * The queue is bound by the server's own `routingKey`, such as `#` for every event of the exchange.
 *
 * @example
 * options: { urls, exchange: 'meetings', exchangeType: 'topic', routingKey: '#', queue: 'meetings-service',
 *   noAck: false, deserializer: new RabbitMqEventDeserializer('meetings') }
 * // @EventPattern('meetings')
 */
export class RabbitMqEventDeserializer implements ConsumerDeserializer {
  /**
   * As JSON, which Nest takes every pattern for: it parses it twice for each message, and the exceptions for what is none took an
   * eighth of the work.
   */
  readonly #pattern: string;

  /**
   * @param pattern exactly the text of the controller's `@EventPattern`, also where that has wildcards;
   *   `RmqContext.getPattern()` gives it as JSON, that is, between quotes
   */
  constructor(pattern: string) {
    this.#pattern = JSON.stringify(pattern);
  }

  /** Nest's packets are unpacked; any other body, such as that of a publisher without Nest, is the payload itself. */
  deserialize(value: unknown, properties: { headers?: Record<string, unknown> } = {}): IncomingEvent {
    const isOurs = isPacket(value) && value.pattern === properties.headers?.[WIRE_HEADERS.name];
    return { pattern: this.#pattern, data: isOurs ? value.data : value };
  }
}

function isPacket(value: unknown): value is { pattern: unknown; data: unknown } {
  return typeof value === 'object' && value !== null && 'pattern' in value && 'data' in value;
}
