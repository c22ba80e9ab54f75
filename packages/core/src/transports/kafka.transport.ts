import type { ClientKafka } from '@nestjs/microservices';
import type { Message } from '../messages/message.js';
import { KafkaProducer } from './kafka-producer.js';
import { isUnknownTopic, refusalOf } from './kafka-refusals.js';
import {
  HELD,
  PUBLISHED,
  Transport,
  UNLIMITED,
  type PublishOptions,
  type PublishResult,
} from './transport.js';

/** What is known of a batch while it is being published. */
interface PublishingState extends PublishOptions {
  readonly results: Map<Message, PublishResult>;
  readonly heldKeys: Set<string>;
  /** Topics for which the producer was renewed. */
  readonly renewedFor: Set<string>;
}

/** The payloads of one request, and what is added for key and headers of each. Kafka's default limit is 1 MiB. */
const REQUEST_BYTES = 900 * 1024;
const OVERHEAD_BYTES = 512;
/** For so long a topic that was not found is not asked for again by a new producer. */
const UNKNOWN_TOPIC_MS = 10_000;

/**
 * Publishes through Nest's `ClientKafka`: one produce request for all messages of a topic, with the entry's key, its
 * headers, and the payload alone as the value. Acknowledged means acks=-1: all in-sync replicas have it.
 */
export class KafkaTransport extends Transport {
  readonly #producer: KafkaProducer;
  /** Topics that have acknowledged something. */
  readonly #knownTopics = new Set<string>();
  /** Topics that a new producer did not find either, and when that was. */
  readonly #unknownTopics = new Map<string, number>();

  constructor(client: ClientKafka, publishTimeoutMs: number, ownsClient: boolean) {
    super();
    this.#producer = new KafkaProducer(client, publishTimeoutMs, ownsClient);
  }

  override get messagingSystem(): string {
    return 'kafka';
  }

  async publish(
    messages: readonly Message[],
    { mayStart }: PublishOptions = UNLIMITED,
  ): Promise<PublishResult[]> {
    const state: PublishingState = {
      results: new Map(),
      heldKeys: new Set(),
      renewedFor: new Set(),
      mayStart,
    };
    for (const run of runsOf(messages)) {
      const topics = Map.groupBy(run, ({ topic }) => topic);
      await Promise.all(
        [...topics].map(async ([topic, batch]) => {
          for (const request of requestsOf(batch)) await this.publishToTopic(topic, request, state);
        }),
      );
    }
    return messages.map((message) => state.results.get(message) ?? HELD);
  }

  async close(): Promise<void> {
    await this.#producer.close();
  }

  /**
   * Kafka refuses a request for one bad message, in the partition of that message: others may have taken their part.
   * Halving finds it in a few requests, and keeps the order of the rest: the left half goes first, and keys that failed
   * there are held back in the right one.
   */
  private async publishToTopic(
    topic: string,
    batch: readonly Message[],
    state: PublishingState,
  ): Promise<void> {
    const { heldKeys, mayStart } = state;
    const messages = batch.filter(({ key }) => !heldKeys.has(key));
    if (messages.length === 0) return;
    await this.#producer.ready();
    if (!mayStart()) {
      // It may say yes again to what follows, which must not overtake these.
      for (const { key } of messages) heldKeys.add(key);
      return;
    }
    try {
      await this.#producer.send(topic, messages);
      this.#knownTopics.add(topic);
      this.#unknownTopics.delete(topic);
      for (const message of messages) state.results.set(message, PUBLISHED);
    } catch (error) {
      if (isUnknownTopic(error)) return this.onUnknownTopic(topic, messages, state, error);
      const refusal = refusalOf(error);
      if (!refusal || messages.length === 1) {
        fail(messages, state, refusal ?? { status: 'unavailable', error });
        return;
      }
      const middle = messages.length >> 1;
      await this.publishToTopic(topic, messages.slice(0, middle), state);
      await this.publishToTopic(topic, messages.slice(middle), state);
    }
  }

  /** It may be another topic that is unknown, see {@link KafkaProducer.renew}: a new producer tells. */
  private async onUnknownTopic(
    topic: string,
    messages: readonly Message[],
    state: PublishingState,
    error: unknown,
  ): Promise<void> {
    const foundUnknownAt = this.#unknownTopics.get(topic) ?? -Infinity;
    const isSettled = state.renewedFor.has(topic) || performance.now() - foundUnknownAt < UNKNOWN_TOPIC_MS;
    if (!isSettled) {
      state.renewedFor.add(topic);
      await this.#producer.renew();
      return this.publishToTopic(topic, messages, state);
    }
    // One that was there before is more likely to be there again than the messages are to be wrong.
    const isNews = this.#knownTopics.delete(topic);
    if (!isNews) this.#unknownTopics.set(topic, performance.now());
    fail(messages, state, isNews ? { status: 'unavailable', error } : { status: 'refused', error });
  }
}

function fail(
  messages: readonly Message[],
  { results, heldKeys }: PublishingState,
  result: PublishResult,
): void {
  for (const message of messages) {
    // Of a key the first one was refused; what follows it was not.
    if (!heldKeys.has(message.key)) results.set(message, result);
    heldKeys.add(message.key);
  }
}

/** Cuts what goes to one topic into requests that a broker takes with its default `message.max.bytes`. */
function* requestsOf(messages: readonly Message[]): Generator<Message[]> {
  let request: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = (message.payload?.length ?? 0) + OVERHEAD_BYTES;
    if (request.length > 0 && bytes + size > REQUEST_BYTES) {
      yield request;
      request = [];
      bytes = 0;
    }
    request.push(message);
    bytes += size;
  }
  if (request.length > 0) yield request;
}

/**
 * Cuts a batch where a key goes on to another topic: topics are produced to at the same time, and a key keeps its order
 * across them. As a rule a batch is one run.
 */
function runsOf(messages: readonly Message[]): Message[][] {
  const runs: Message[][] = [];
  let run: Message[] = [];
  let topicOf = new Map<string, string>();
  for (const message of messages) {
    const topic = topicOf.get(message.key);
    if (run.length === 0 || (topic !== undefined && topic !== message.topic)) {
      run = [];
      runs.push(run);
      topicOf = new Map();
    }
    topicOf.set(message.key, message.topic);
    run.push(message);
  }
  return runs;
}
