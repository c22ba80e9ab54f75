export { PlatformaticKafkaTransport } from './platformatic-kafka.transport.js';
export { type PlatformaticKafkaOptions } from './platformatic-kafka.options.js';
