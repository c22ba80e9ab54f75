import type { TransportOption } from '../cqrs-outbox.options.js';
import { integerFault, isRecord, sectionFaults, unknownKeys, withoutUndefined } from '../option-faults.js';
import { MAX_TIMER_MS } from '../relay/relay-clock.js';
import { CONSUMER_DEFAULTS, type ConsumerOptions, type ResolvedConsumerOptions } from './consumer.options.js';

const MAX_HANDLER_TIMEOUT_MS = 24 * 60 * 60 * 1_000;
/** Kafka's own limit. */
const MAX_TOPIC_LENGTH = 249;

/** Adds the defaults of `consumer`, and lists its faults. */
export function resolveConsumer(
  given: ConsumerOptions | undefined,
  transports: ReadonlyMap<string, TransportOption>,
  faults: string[],
): ResolvedConsumerOptions {
  const consumer = { ...CONSUMER_DEFAULTS, ...withoutUndefined(given) };
  faults.push(
    ...sectionFaults('consumer', given, Object.keys(CONSUMER_DEFAULTS)),
    ...integerFault('consumer.maxAttempts', consumer.maxAttempts, 1, 1_000_000),
    ...integerFault('consumer.minBackoffMs', consumer.minBackoffMs, 1, MAX_TIMER_MS),
    ...integerFault('consumer.maxBackoffMs', consumer.maxBackoffMs, 1, MAX_TIMER_MS),
    ...integerFault('consumer.handlerTimeoutMs', consumer.handlerTimeoutMs, 1, MAX_HANDLER_TIMEOUT_MS),
    ...deadLettersFaults(consumer.deadLetters, transports),
  );
  if (consumer.minBackoffMs > consumer.maxBackoffMs)
    faults.push('consumer.minBackoffMs is greater than consumer.maxBackoffMs');
  return consumer;
}

function deadLettersFaults(given: unknown, transports: ReadonlyMap<string, TransportOption>): string[] {
  if (given === 'table') return [];
  const option = 'consumer.deadLetters';
  if (!isRecord(given)) return [`${option} must be 'table' or { destination, topic? }`];
  const { destination, topic } = given;
  const faults = unknownKeys(given, ['destination', 'topic'], `${option}.`);
  if (typeof destination !== 'string' || !transports.has(destination)) {
    const known = [...transports.keys()].join(', ');
    faults.push(`${option}.destination is ${String(destination)}, but transport names ${known}`);
  }
  const isTopic = typeof topic === 'string' && topic.trim() !== '' && topic.length <= MAX_TOPIC_LENGTH;
  if (topic !== undefined && !isTopic)
    faults.push(`${option}.topic must be a text of 1 to ${MAX_TOPIC_LENGTH} characters`);
  return faults;
}
