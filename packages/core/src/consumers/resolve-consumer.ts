import type { CqrsOutboxOptions, TransportOption } from '../cqrs-outbox.options.js';
import { compressorFaults, sameEncodingFaults } from '../messages/compression/compressor-faults.js';
import { Compressor } from '../messages/compression/compressor.js';
import { serializerFaults } from '../messages/serializers.js';
import { isNewerVersionPolicy } from '../messages/versions.js';
import { integerFault, isRecord, sectionFaults, unknownKeys, withoutUndefined } from '../option-faults.js';
import { InMemoryTransport } from '../transports/in-memory.transport.js';
import { MAX_TIMER_MS } from '../relay/relay-clock.js';
import {
  BATCH_DEFAULTS,
  CONSUMER_DEFAULTS,
  type ConsumerOptions,
  type ResolvedBatchOptions,
  type ResolvedConsumerOptions,
} from './consumer.options.js';

const MAX_HANDLER_TIMEOUT_MS = 24 * 60 * 60 * 1_000;
/** Kafka's own limit. */
const MAX_TOPIC_LENGTH = 249;

/** Adds the defaults of `consumer`, and lists its faults. */
export function resolveConsumer(
  { consumer: given, compression, serializer }: CqrsOutboxOptions,
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
    ...integerFault('consumer.maxDecompressedBytes', consumer.maxDecompressedBytes, 1, 1024 ** 3),
    ...deadLettersFaults(consumer.deadLetters, transports),
    ...serializersFaults(serializer, consumer.serializers),
    ...decompressorsFaults(consumer.decompressors, compression?.compressor),
  );
  const batch = resolveBatch(given?.batch, faults);
  if (consumer.minBackoffMs > consumer.maxBackoffMs)
    faults.push('consumer.minBackoffMs is greater than consumer.maxBackoffMs');
  if (!isNewerVersionPolicy(consumer.newerVersion))
    faults.push("consumer.newerVersion must be 'reject', 'accept' or 'ignore'");
  const serializers = Array.isArray(consumer.serializers) ? consumer.serializers : [];
  const decompressors: readonly unknown[] = Array.isArray(consumer.decompressors)
    ? consumer.decompressors
    : [];
  return {
    ...consumer,
    batch,
    serializers,
    decompressors: decompressors.filter((item) => item instanceof Compressor),
  };
}

function resolveBatch(given: ConsumerOptions['batch'], faults: string[]): ResolvedBatchOptions | false {
  if (given === undefined || given === false) return CONSUMER_DEFAULTS.batch;
  const batch = { ...BATCH_DEFAULTS, ...withoutUndefined(given) };
  faults.push(
    ...sectionFaults('consumer.batch', given, Object.keys(BATCH_DEFAULTS)),
    ...integerFault('consumer.batch.maxMessages', batch.maxMessages, 2, 1_000),
    ...integerFault('consumer.batch.maxTransactions', batch.maxTransactions, 1, 100),
  );
  return batch;
}

function serializersFaults(serializer: unknown, others: unknown): string[] {
  const isList = Array.isArray(others);
  const faults = serializerFaults(serializer, isList ? others : []);
  return isList ? faults : [...faults, 'consumer.serializers must be a list'];
}

function decompressorsFaults(given: unknown, compressor: unknown): string[] {
  const option = 'consumer.decompressors';
  if (!Array.isArray(given)) return [`${option} must be a list`];
  const faults = given.flatMap((item, index) => compressorFaults(`${option}[${index}]`, item));
  return [...faults, ...sameEncodingFaults(option, [compressor, ...(given as unknown[])])];
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
  if (transports.get(String(destination)) instanceof InMemoryTransport)
    faults.push(`${option}.destination is an InMemoryTransport, which keeps nothing: use 'table'`);
  const isTopic = typeof topic === 'string' && topic.trim() !== '' && topic.length <= MAX_TOPIC_LENGTH;
  if (topic !== undefined && !isTopic)
    faults.push(`${option}.topic must be a text of 1 to ${MAX_TOPIC_LENGTH} characters`);
  return faults;
}
