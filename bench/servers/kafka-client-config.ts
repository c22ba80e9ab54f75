import type { KafkaConfig } from 'kafkajs';

/** What every client over kafkajs is made of in a benchmark; kafkajs itself is not loaded for it. */
export function clientConfig(brokers: string[]): Pick<KafkaConfig, 'logCreator'> & { brokers: string[] } {
  return { brokers, logCreator: () => () => undefined };
}
