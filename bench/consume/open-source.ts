import type { BenchContext, BrokerName } from '../servers/bench-context.ts';
import { KafkaSource } from './kafka-source.ts';
import type { MessageSource } from './message-source.ts';
import { RabbitMqSource } from './rabbitmq-source.ts';

/** Opens a topic or queue of its own. */
export function openSource(broker: BrokerName, context: BenchContext): Promise<MessageSource> {
  return broker === 'kafka' ? KafkaSource.open(context.brokers) : RabbitMqSource.open(context.amqpUrl);
}
