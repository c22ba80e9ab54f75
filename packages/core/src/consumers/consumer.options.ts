import type { Compressor } from '../messages/compression/compressor.js';
import type { Serializer } from '../messages/serializer.js';
import type { NewerVersionPolicy } from '../messages/versions.js';

/** A place for dead letters at a broker. */
export interface DeadLetterDestination {
  /** One of the names in `transport`. */
  destination: string;
  /**
   * On RabbitMQ without effect, as for every message: the exchange or queue is that of the destination's options.
   * @defaultValue the message's own topic, followed by `.dead-letters`
   */
  topic?: string;
}

/** How handlers of several messages share a transaction. */
export interface ConsumerBatchOptions {
  /**
   * So many at most, 2 to 1000. More is faster, and more is done again when one of them fails.
   * @defaultValue 50
   */
  maxMessages?: number;
  /**
   * So many such transactions are open at the same time at most, 1 to 100, those of handlers that are run alone included. Two
   * of them can deadlock where handlers of different keys change the same rows; the database ends one, which is then done
   * message by message. Keep it below the size of the connection pool.
   * @defaultValue 4
   */
  maxTransactions?: number;
}

/** {@link ConsumerBatchOptions} with all defaults. */
export type ResolvedBatchOptions = Readonly<Required<ConsumerBatchOptions>>;

/** The one place of their defaults. */
export const BATCH_DEFAULTS: ResolvedBatchOptions = { maxMessages: 50, maxTransactions: 4 };

/** How consumers behave. */
export interface ConsumerOptions {
  /**
   * How often a message is tried whose handlers fail, before it becomes a dead letter. More rides out longer troubles of
   * what handlers call, and holds up for longer what waits behind the message. A database that is away uses up none.
   * @defaultValue 8
   */
  maxAttempts?: number;
  /**
   * The first wait after a failure, in milliseconds. It doubles with each further one, up to `maxBackoffMs`, and a
   * random part of it is waited (full jitter,
   * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Meanwhile the message holds its place:
   * a Kafka partition waits, on RabbitMQ one of the prefetched places is taken.
   * @defaultValue 1000
   */
  minBackoffMs?: number;
  /**
   * The longest wait between two tries, in milliseconds: also how long after the database's return a consumer may notice.
   * @defaultValue 30000
   */
  maxBackoffMs?: number;
  /**
   * How long a handler may take, in milliseconds, its transaction included. Then its transaction is rolled back, and it
   * counts as failed. A handler that still runs can't be stopped, but what it does to the database has no effect.
   * @defaultValue 300000
   */
  handlerTimeoutMs?: number;
  /**
   * Lets handlers of messages that are in hand at the same time share a transaction, each with its inbox row, so that there
   * is one COMMIT for all. When one of them fails, all are rolled back and each is tried again at once, alone: what a handler
   * does outside of the database is then done twice, which is why this is off unless asked for. All of a batch together
   * must be done within `handlerTimeoutMs`, or it is rolled back likewise.
   *
   * As many messages must be in hand at the same time: see `maxConcurrency` of a `KafkaEventServer`, and `prefetchCount` of
   * RabbitMQ. A handler that waits for another message of the same batch waits until the time is over.
   * @defaultValue false
   */
  batch?: ConsumerBatchOptions | false;
  /**
   * Where messages go that were given up: the table `cqrs_inbox_dead_letter`, or a destination, which must then have
   * acknowledged it before the message itself is. One that the destination refuses for good, or three times, goes to
   * the table.
   * @defaultValue 'table'
   */
  deadLetters?: 'table' | DeadLetterDestination;
  /**
   * What becomes of a message whose version is newer than the class of its event, unless the event says it itself.
   * `reject` loses nothing, and needs a person once the new version is deployed; `accept` fits publishers that only ever
   * add to a payload; `ignore` is for events that may be missed.
   * @defaultValue 'reject'
   */
  newerVersion?: NewerVersionPolicy;
  /**
   * What payloads are read with, by their content type, beside `serializer` and JSON. Give the former one here when you
   * change `serializer`: its messages are still on their way, in brokers and archives.
   * @defaultValue none
   */
  serializers?: readonly Serializer[];
  /**
   * The largest payload that a compressed message may hold, in bytes after decompression: a message that holds more is a
   * dead letter, and no more memory than that is taken to find out. What is compressed at `append` must fit into it too.
   * @defaultValue 16777216
   */
  maxDecompressedBytes?: number;
  /**
   * Compressors that are only read here, beside the four ready ones and that of `compression`: of other publishers, or
   * of a time before another one was chosen. One with the name of a ready one takes its place.
   * @defaultValue none
   */
  decompressors?: readonly Compressor[];
}

/** {@link ConsumerOptions} with all defaults. */
export type ResolvedConsumerOptions = Readonly<
  Required<Omit<ConsumerOptions, 'batch'>> & { batch: ResolvedBatchOptions | false }
>;

/** The one place of the defaults. */
export const CONSUMER_DEFAULTS: ResolvedConsumerOptions = {
  maxAttempts: 8,
  minBackoffMs: 1_000,
  maxBackoffMs: 30_000,
  handlerTimeoutMs: 300_000,
  batch: false,
  deadLetters: 'table',
  newerVersion: 'reject',
  serializers: [],
  maxDecompressedBytes: 16_777_216,
  decompressors: [],
};
