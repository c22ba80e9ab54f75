/** Kafka's topic, RabbitMQ's exchange: where this service publishes. */
export const TOPIC = 'meetings';
