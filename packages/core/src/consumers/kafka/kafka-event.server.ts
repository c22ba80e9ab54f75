import { once } from 'node:events';
import { Logger } from '@nestjs/common';
import { ServerKafka, type KafkaContext, type ReadPacket } from '@nestjs/microservices';
import { messageOf } from '../../cqrs-outbox.error.js';
import { withTimeLimit } from '../../transports/time-limit.js';
import { BatchRun } from './batch-run.js';
import { ConcurrencyLimit } from '../concurrency-limit.js';
import { eventTopics } from './event-topics.js';
import { keepRunning } from './keep-running.js';
import {
  resolveServerOptions,
  type KafkaEventServerOptions,
  type ResolvedKafkaEventServerOptions,
} from './kafka-event-server.options.js';
import { settled } from './settled.js';

/** kafkajs's types, which Nest has: core depends on no broker client. */
type Consumer = Parameters<ServerKafka['bindEvents']>[0];
type EachBatchPayload = Parameters<NonNullable<NonNullable<Parameters<Consumer['run']>[0]>['eachBatch']>>[0];

const MAX_WAIT_TIME_MS = 1_000;
const AUTO_COMMIT_INTERVAL_MS = 1_000;
/** kafkajs's own defaults. */
const SESSION_TIMEOUT_MS = 30_000;
const HEARTBEAT_INTERVAL_MS = 3_000;
/** kafkajs's own default, which it forgets when other options of `retry` are given. */
const RETRIES = 5;
/** How long handlers that still run may take at the end: `EventConsumer` has waited for them before. */
const BATCHES_LIMIT_MS = 10_000;
/** How long leaving the group may take at the end, beside the wait for the broker. */
const LEAVE_LIMIT_MS = 10_000;

/**
 * A Nest microservice on Kafka that consumes batches, for `@EventPattern` controllers:
 *
 * - Messages of one key are handled in order, one after another; those of different keys at the same time, up to
 *   `maxConcurrency`. Messages without a key keep the order of their partition among each other.
 * - An offset is committed when its message and all before it are handled, that is, when the controller's promise has
 *   resolved. If it rejects, whatever the error, nothing more of the batch is started, and what is not committed is
 *   delivered again; so is the rest of a batch at a rebalance and at the end. So the effect of a message that was handled
 *   behind one that was not can happen twice, unless the inbox knows it.
 * - It starts in the background, and again after whatever error, with a backoff: an application boots without its broker.
 *
 * `@MessagePattern`s, which answer, are left to Nest's own server.
 *
 * @example
 * app.connectMicroservice({
 *   strategy: new KafkaEventServer({ client: { brokers }, consumer: { groupId: 'meetings' } }),
 * });
 */
export class KafkaEventServer extends ServerKafka {
  protected override logger = new Logger(KafkaEventServer.name);
  readonly #settings: ResolvedKafkaEventServerOptions;
  readonly #limit: ConcurrencyLimit;
  readonly #batches = new Set<Promise<void>>();
  #closing = new AbortController();
  #consuming: Promise<void> | undefined;
  /** By topic. Nest would look for each message whether its topic is JSON, which costs more than the rest of the look-up. */
  readonly #handlers = new Map<string, NonNullable<ReturnType<ServerKafka['getHandlerByPattern']>>>();

  /** @throws {@link ConfigurationError} with every fault of the options */
  constructor(options: KafkaEventServerOptions) {
    const settings = resolveServerOptions(options);
    super(settings);
    this.#settings = settings;
    this.#limit = new ConcurrencyLimit(settings.maxConcurrency);
  }

  /**
   * Starts to consume in the background: the callback is called at once, with an error only for options that kafkajs does
   * not take. `status` says when it is connected. A second call while it runs changes nothing.
   */
  override async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      if (!this.#consuming) await this.#start();
    } catch (error) {
      callback(error);
      return;
    }
    callback();
  }

  /** Waits for the handlers that run, though not for ever, commits what they have handled, and leaves the group. */
  override async close(): Promise<void> {
    this.#closing.abort();
    await this.#within(BATCHES_LIMIT_MS, Promise.allSettled(this.#batches), 'Ending the batches in hand');
    const limitMs = LEAVE_LIMIT_MS + (this.#settings.consumer?.maxWaitTimeInMs ?? MAX_WAIT_TIME_MS);
    await this.#within(limitMs, this.#consuming ?? Promise.resolve(), 'Leaving the consumer group');
    this.#consuming = undefined;
    this.consumer = null;
    this.client = null;
  }

  /**
   * As Nest's, but it settles with the handler also when a processing hook does not return what `done` returns, and a
   * handler that answers with an empty stream has handled the message.
   */
  override async handleEvent(pattern: string, packet: ReadPacket, context: KafkaContext): Promise<void> {
    const handler = this.getHandlerByPattern(pattern);
    if (!handler) {
      await super.handleEvent(pattern, packet, context);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const handle = async (runEndHook: () => void): Promise<void> => {
        const handling = settled(() => handler(packet.data, context), runEndHook);
        resolve(handling);
        // A hook that ignores what `done` returns must not leave a rejection to nobody.
        await handling.catch(() => undefined);
      };
      const hooked = async (): Promise<void> => this.runWithProcessingHooks(context, handle);
      hooked().catch(reject);
    });
  }

  /** As Nest's, which is asked once for each topic. */
  override getHandlerByPattern(pattern: string): ReturnType<ServerKafka['getHandlerByPattern']> {
    const known = this.#handlers.get(pattern);
    if (known) return known;
    const handler = super.getHandlerByPattern(pattern);
    if (handler) this.#handlers.set(pattern, handler);
    return handler;
  }

  async #within(limitMs: number, work: Promise<unknown>, what: string): Promise<void> {
    try {
      await withTimeLimit(work, limitMs, what);
    } catch (error) {
      this.logger.warn(messageOf(error));
    }
  }

  async #start(): Promise<void> {
    this.#closing = new AbortController();
    this.#handlers.clear();
    const { signal } = this.#closing;
    const client = await this.createClient<NonNullable<typeof this.client>>();
    this.client = client;
    const createConsumer = (): Consumer => client.consumer(this.#consumerConfig());
    // kafkajs checks the options, and connects later.
    createConsumer();
    const topics = eventTopics(this.messageHandlers, this.logger);
    if (topics.length === 0) return;
    this.#consuming = keepRunning(
      (succeeded) => this.#consume(createConsumer(), topics, succeeded, signal),
      signal,
      (error, waitMs) =>
        this.logger.warn(`Can't consume, trying again in ${Math.round(waitMs)} ms: ${messageOf(error)}`),
    );
  }

  #consumerConfig(): NonNullable<KafkaEventServerOptions['consumer']> {
    const { consumer } = this.#settings;
    return {
      maxWaitTimeInMs: MAX_WAIT_TIME_MS,
      ...consumer,
      groupId: this.groupId,
      // One restarts, not two.
      retry: { retries: RETRIES, ...consumer?.retry, restartOnFailure: () => Promise.resolve(false) },
    };
  }

  /** kafkajs counts a heartbeat as sent when the last one was, up to an interval ago. */
  get #sessionMs(): number {
    const { sessionTimeout = SESSION_TIMEOUT_MS, heartbeatInterval = HEARTBEAT_INTERVAL_MS } =
      this.#settings.consumer ?? {};
    return sessionTimeout - heartbeatInterval;
  }

  /** Lasts until the consumer crashes, which it then throws, or until the end. */
  async #consume(
    consumer: Consumer,
    topics: readonly (string | RegExp)[],
    succeeded: () => void,
    closing: AbortSignal,
  ): Promise<void> {
    this.consumer = consumer;
    this.registerConsumerEventListeners();
    const crashed = new Promise<never>((_, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    });
    crashed.catch(() => undefined);
    consumer.on(consumer.events.GROUP_JOIN, succeeded);
    const ended = new AbortController();
    try {
      await consumer.connect();
      await consumer.subscribe({ ...this.#settings.subscribe, topics: [...topics] });
      // Not cut short at the end: a consumer that is closed while it joins would join all the same.
      await consumer.run(this.#runConfig(closing));
      if (!closing.aborted) await Promise.race([crashed, once(closing, 'abort', { signal: ended.signal })]);
    } finally {
      ended.abort();
      await consumer.disconnect();
    }
  }

  #runConfig(closing: AbortSignal): NonNullable<Parameters<Consumer['run']>[0]> {
    return {
      partitionsConsumedConcurrently: this.#settings.maxConcurrency,
      autoCommitInterval: AUTO_COMMIT_INTERVAL_MS,
      ...this.#settings.run,
      autoCommit: true,
      // kafkajs would resolve the whole batch when its handler returns.
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => {
        const running = this.#runBatch(payload, closing);
        this.#batches.add(running);
        try {
          await running;
        } finally {
          this.#batches.delete(running);
        }
      },
    };
  }

  /**
   * kafkajs fetches on after the last offset that was resolved: what is left of a batch comes again at once, without the
   * pauses and the crash that an error of its handler would mean.
   */
  async #runBatch(payload: EachBatchPayload, closing: AbortSignal): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    const pause = (): (() => void) => payload.pause();
    const run = new BatchRun(
      {
        messages,
        handle: (message, heartbeat) => this.handleMessage({ topic, partition, message, heartbeat, pause }),
        resolve: (offset) => payload.resolveOffset(offset),
        heartbeat: async () => {
          await payload.heartbeat();
          await payload.commitOffsetsIfNecessary();
        },
        sessionMs: this.#sessionMs,
        isWanted: () => !closing.aborted && payload.isRunning() && !payload.isStale(),
        onFailure: ({ offset }, error) =>
          this.logger.warn(
            `Not handled, kafka ${topic}[${partition}]@${offset} will be delivered again: ${messageOf(error)}`,
          ),
      },
      this.#limit,
      this.#settings.maxConcurrency,
    );
    await run.run(closing);
  }
}
