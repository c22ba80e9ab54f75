import type { Message } from '../messages/message.js';
import type { KafkaAnswer, KafkaFault, KafkaProducer } from './kafka-producer.js';
import { refusalOf, UNKNOWN_TOPIC } from './kafka-refusals.js';
import { requestsOf, runsOf } from './kafka-requests.js';
import { closeInTime } from './time-limit.js';
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
  /** Topics that were there before, and are not found any more. */
  readonly lostTopics: Set<string>;
}

/** For so long a topic that was not found is not asked for again by a renewed producer. */
const UNKNOWN_TOPIC_MS = 10_000;

/**
 * Publishes to Kafka: one produce request for all messages of a topic, with the entry's key, its headers, and the payload
 * alone as the value. Acknowledged means acks=-1: all in-sync replicas have it.
 */
export class KafkaTransport extends Transport {
  readonly #producer: KafkaProducer;
  /** Topics that have acknowledged something. */
  readonly #knownTopics = new Set<string>();
  /** Topics that a renewed producer did not find either, and when that was. */
  readonly #unknownTopics = new Map<string, number>();

  constructor(producer: KafkaProducer) {
    super();
    this.#producer = producer;
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
      lostTopics: new Set(),
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
    await closeInTime('the connection to Kafka', () => this.#producer.close());
  }

  private async publishToTopic(
    topic: string,
    batch: readonly Message[],
    state: PublishingState,
  ): Promise<void> {
    const { heldKeys, mayStart } = state;
    const messages = batch.filter(({ key }) => !heldKeys.has(key));
    if (messages.length === 0) return;
    const fault = await this.#producer.prepare(topic);
    if (!fault && !mayStart()) {
      // It may say yes again to what follows, which must not overtake these.
      for (const { key } of messages) heldKeys.add(key);
      return;
    }
    if (fault) {
      // It is about the topic: no part of the messages fares better.
      fail(messages, state, this.resultOf(topic, fault, state));
      return;
    }
    const answers = await this.#producer.send(topic, messages);
    const stale = answers.filter((answer) => this.isStale(topic, answer, state));
    for (const answer of answers) if (!stale.includes(answer)) await this.settle(topic, answer, state);
    if (stale.length === 0) return;
    state.renewedFor.add(topic);
    await this.#producer.renew();
    await this.publishToTopic(
      topic,
      stale.flatMap(({ messages }) => messages),
      state,
    );
  }

  /** Whether a renewed producer is to try again: once for a topic, and not for one that was just found unknown. */
  private isStale(topic: string, { fault }: KafkaAnswer, { renewedFor }: PublishingState): boolean {
    if (!fault?.mayBeStale || renewedFor.has(topic)) return false;
    const foundUnknownAt = this.#unknownTopics.get(topic) ?? -Infinity;
    return fault.name !== UNKNOWN_TOPIC || performance.now() - foundUnknownAt >= UNKNOWN_TOPIC_MS;
  }

  private async settle(
    topic: string,
    { messages, fault }: KafkaAnswer,
    state: PublishingState,
  ): Promise<void> {
    if (!fault) {
      this.#knownTopics.add(topic);
      this.#unknownTopics.delete(topic);
      for (const message of messages) state.results.set(message, PUBLISHED);
    } else if (fault.name !== UNKNOWN_TOPIC && refusalOf(fault) && messages.length > 1) {
      await this.halve(topic, messages, state);
    } else fail(messages, state, this.resultOf(topic, fault, state));
  }

  private resultOf(topic: string, fault: KafkaFault, state: PublishingState): PublishResult {
    if (fault.name === UNKNOWN_TOPIC) return this.unknownTopic(topic, fault, state);
    return refusalOf(fault) ?? { status: 'unavailable', error: fault.error };
  }

  /**
   * Kafka refuses all messages of a request for a partition for one bad one. Where the client does not tell partitions
   * apart, others may have taken their part. Halving finds it in a few requests, and keeps the order of the rest: the left
   * half goes first, and keys that failed there are held back in the right one.
   */
  private async halve(topic: string, messages: readonly Message[], state: PublishingState): Promise<void> {
    const middle = messages.length >> 1;
    await this.publishToTopic(topic, messages.slice(0, middle), state);
    await this.publishToTopic(topic, messages.slice(middle), state);
  }

  /** One that was there before is more likely to be there again than the messages are to be wrong. */
  private unknownTopic(topic: string, { error }: KafkaFault, { lostTopics }: PublishingState): PublishResult {
    if (this.#knownTopics.delete(topic)) lostTopics.add(topic);
    // For each partition and request of it, not for the first alone.
    if (lostTopics.has(topic)) return { status: 'unavailable', error };
    this.#unknownTopics.set(topic, performance.now());
    return { status: 'refused', error };
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
