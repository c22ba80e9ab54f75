import type { ClientKafka } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { toWireHeaders, type Message } from '../messages/message.js';
import { closeInTime, withTimeLimit } from './time-limit.js';
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
}

/**
 * Publishes through Nest's `ClientKafka`: one produce request for all messages of a topic, with the entry's key, its
 * headers, and the payload alone as the value. Acknowledged means acks=-1: all in-sync replicas have it.
 */
export class KafkaTransport extends Transport {
  constructor(
    private readonly client: ClientKafka,
    private readonly publishTimeoutMs: number,
    private readonly ownsClient: boolean,
  ) {
    super();
  }

  async publish(
    messages: readonly Message[],
    { mayStart }: PublishOptions = UNLIMITED,
  ): Promise<PublishResult[]> {
    const results = new Map<Message, PublishResult>();
    const heldKeys = new Set<string>();
    for (const run of runsOf(messages)) {
      const topics = Map.groupBy(run, ({ topic }) => topic);
      await Promise.all(
        [...topics].map(([topic, batch]) =>
          this.publishToTopic(topic, batch, { results, heldKeys, mayStart }),
        ),
      );
    }
    return messages.map((message) => results.get(message) ?? HELD);
  }

  async close(): Promise<void> {
    if (this.ownsClient) await closeInTime('the connection to Kafka', async () => this.client.close());
  }

  /**
   * Kafka refuses a batch as a whole for one bad message. Halving finds it in a few requests, and keeps the order of
   * the rest: the left half goes first, and keys that failed there are held back in the right one.
   */
  private async publishToTopic(
    topic: string,
    batch: readonly Message[],
    state: PublishingState,
  ): Promise<void> {
    const { results, heldKeys, mayStart } = state;
    const messages = batch.filter(({ key }) => !heldKeys.has(key));
    if (messages.length === 0) return;
    if (!mayStart()) {
      // It may say yes again to what follows, which must not overtake these.
      for (const { key } of messages) heldKeys.add(key);
      return;
    }
    try {
      await this.send(topic, messages);
      for (const message of messages) results.set(message, PUBLISHED);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal && messages.length > 1) {
        const middle = messages.length >> 1;
        await this.publishToTopic(topic, messages.slice(0, middle), state);
        await this.publishToTopic(topic, messages.slice(middle), state);
        return;
      }
      for (const message of messages) {
        results.set(message, refusal ?? { status: 'unavailable', error });
        heldKeys.add(message.key);
      }
    }
  }

  private async send(topic: string, messages: readonly Message[]): Promise<void> {
    const records = messages.map((message) => ({
      key: message.key,
      value: message.payload,
      headers: toWireHeaders(message),
    }));
    // A batch that failed leaves no listener: the subscription is made before the request can fail.
    const sent = lastValueFrom(this.client.emitBatch<unknown>(topic, { messages: records }), {
      defaultValue: undefined,
    });
    await withTimeLimit(sent, this.publishTimeoutMs, `Producing ${messages.length} messages to ${topic}`);
  }
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

/** Protocol errors that blame the message and not the broker; the value: whether another try can't help. */
const REFUSALS: ReadonlyMap<string, boolean> = new Map(
  Object.entries({
    MESSAGE_TOO_LARGE: true,
    RECORD_LIST_TOO_LARGE: true,
    INVALID_RECORD: true,
    CORRUPT_MESSAGE: false,
    INVALID_TIMESTAMP: true,
    INVALID_TOPIC_EXCEPTION: true,
    UNKNOWN_TOPIC_OR_PARTITION: false,
    TOPIC_AUTHORIZATION_FAILED: false,
    POLICY_VIOLATION: true,
  }),
);

function refusalOf(error: unknown): PublishResult | undefined {
  // kafkajs wraps the protocol's error when its own retries are used up.
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { type } = cause as { type?: unknown };
    const permanent = typeof type === 'string' ? REFUSALS.get(type) : undefined;
    if (permanent !== undefined) return { status: 'refused', error, permanent };
  }
  return undefined;
}
