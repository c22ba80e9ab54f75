import type { KafkaOptions } from '@nestjs/microservices';
import { ConfigurationError } from '../../cqrs-outbox.error.js';

type NestKafkaOptions = NonNullable<KafkaOptions['options']>;

/** How many messages of different keys a {@link KafkaEventServer} handles at the same time. */
const DEFAULT_MAX_CONCURRENCY = 8;
const MAX_CONCURRENCY = 1_000;

/**
 * What `new KafkaEventServer` takes: Nest's options of a Kafka server that are about receiving events, and one more.
 * `parser.keepBinary` is true unless given: payloads come as the bytes that were sent.
 */
export interface KafkaEventServerOptions extends Pick<
  NestKafkaOptions,
  'postfixId' | 'client' | 'subscribe' | 'deserializer' | 'parser'
> {
  /**
   * kafkajs's own. `groupId` gets Nest's `postfixId` (`-server`) as with Nest's server, so that a group goes on when one
   * takes the place of the other. `maxWaitTimeInMs` is 1000 unless given: an idle consumer ends, and joins in a rebalance,
   * within that time. `retry.restartOnFailure` is not asked: the server always starts again.
   */
  consumer?: NestKafkaOptions['consumer'];
  /**
   * kafkajs's own. `partitionsConsumedConcurrently` is `maxConcurrency` unless given, and `autoCommitInterval` 1000 ms: so
   * much of what was handled is delivered again after a crash. Offsets are always committed by the server itself.
   */
  run?: Pick<
    NonNullable<NestKafkaOptions['run']>,
    'partitionsConsumedConcurrently' | 'autoCommitInterval' | 'autoCommitThreshold'
  >;
  /**
   * How many messages are handled at the same time, in all partitions together, 1 to 1000; those of one key never are.
   * Each handler has a database transaction: keep it below the size of the connection pool (MikroORM's and most drivers'
   * default is 10), so that the relay and the requests of the same process have connections left.
   * @defaultValue 8
   */
  maxConcurrency?: number;
}

/** The options with all defaults. */
export interface ResolvedKafkaEventServerOptions extends KafkaEventServerOptions {
  readonly maxConcurrency: number;
}

/**
 * Adds the defaults.
 *
 * @throws {@link ConfigurationError} with every fault
 */
export function resolveServerOptions(given: KafkaEventServerOptions): ResolvedKafkaEventServerOptions {
  const maxConcurrency: unknown = given.maxConcurrency ?? DEFAULT_MAX_CONCURRENCY;
  const faults = [
    ...countFault('maxConcurrency', maxConcurrency),
    ...countFault('run.partitionsConsumedConcurrently', given.run?.partitionsConsumedConcurrently ?? 1),
  ];
  if (!given.consumer?.groupId) faults.push('KafkaEventServer: consumer.groupId: give the name of the group');
  if (faults.length > 0) throw new ConfigurationError(faults);
  return {
    ...given,
    // The bytes that were sent: text made of them could not be read as what it was.
    parser: { keepBinary: true, ...given.parser },
    maxConcurrency: maxConcurrency as number,
  };
}

function countFault(name: string, value: unknown): string[] {
  const isValid = Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_CONCURRENCY;
  return isValid
    ? []
    : [`KafkaEventServer: ${name} is ${String(value)}, but must be an integer from 1 to ${MAX_CONCURRENCY}`];
}
