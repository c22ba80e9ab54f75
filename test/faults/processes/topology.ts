/** Names that writers, relays, brokers and the collector share. */
export const HAPPENED = 'faults.happened';
/** The Kafka topic of what happened, and the exchange on RabbitMQ. */
export const MAIN_TOPIC = 'faults';
export const QUEUE = 'faults.arrivals';
/** Nothing takes messages of this name, ever. */
export const NOWHERE = 'faults.nowhere';
/** Kafka refuses messages over this size, and batches of one partition: far more than the usual ones of a relay have. */
export const MAX_MESSAGE_BYTES = 400_000;
export const PARTITIONS = 4;
export const KEY_COUNT = 48;

/** An event name of a fault's own, which nothing takes until the fault is over. */
export function refusedName(faultId: number): string {
  return `faults.refused-${faultId}`;
}

/** The key whose events a refusal or a poisoned message holds back. */
export function refusedKey(faultId: number): string {
  return `refused-${faultId}`;
}

export function ordinaryKeys(): string[] {
  return Array.from({ length: KEY_COUNT }, (_, index) => `key-${index}`);
}
