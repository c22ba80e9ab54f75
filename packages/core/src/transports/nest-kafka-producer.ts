import type { ClientKafka } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { toWireHeaders, type Message } from '../messages/message.js';
import { KafkaProducer, type KafkaAnswer, type KafkaFault } from './kafka-producer.js';
import { UNKNOWN_TOPIC } from './kafka-refusals.js';
import { closeInTime, withTimeLimit } from './time-limit.js';

/** Produces through Nest's `ClientKafka`, which can be renewed: it then has another kafkajs producer. */
export class NestKafkaProducer extends KafkaProducer {
  readonly #sending = new Set<Promise<void>>();
  #renewal: Promise<void> | undefined;

  constructor(
    private readonly client: ClientKafka,
    private readonly timeoutMs: number,
    /** Whether the client was made for this producer alone, and can be closed. */
    private readonly ownsClient: boolean,
  ) {
    super();
  }

  async prepare(): Promise<undefined> {
    await this.#renewal;
  }

  /** kafkajs does not tell what became of each partition when one of them has failed. */
  async send(topic: string, messages: readonly Message[]): Promise<KafkaAnswer[]> {
    await this.#renewal;
    const sending = this.produce(topic, messages);
    this.#sending.add(sending);
    try {
      await sending;
      return [{ messages }];
    } catch (error) {
      return [{ messages, fault: faultOf(error) }];
    } finally {
      this.#sending.delete(sending);
    }
  }

  /**
   * Has the next request made by a new producer. kafkajs keeps the name of a topic that it could not ask for while the
   * broker was away, and from then on fails every request, of any topic, for it. A client of the application is left alone.
   */
  async renew(): Promise<void> {
    if (!this.ownsClient) return;
    this.#renewal ??= this.closeWhenIdle().finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  async close(): Promise<void> {
    if (this.ownsClient) await this.client.close();
  }

  private async closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.#sending);
    // The next request connects again.
    await closeInTime('the connection to Kafka', () => this.client.close());
  }

  private async produce(topic: string, messages: readonly Message[]): Promise<void> {
    const records = messages.map((message) => ({
      key: message.key,
      value: message.payload,
      headers: toWireHeaders(message),
    }));
    // A batch that failed leaves no listener: the subscription is made before the request can fail.
    const sent = lastValueFrom(this.client.emitBatch<unknown>(topic, { messages: records }), {
      defaultValue: undefined,
    });
    await withTimeLimit(sent, this.timeoutMs, `Producing ${messages.length} messages to ${topic}`);
  }
}

function faultOf(error: unknown): KafkaFault {
  const name = protocolErrorOf(error);
  return { error, name, mayBeStale: name === UNKNOWN_TOPIC };
}

/** kafkajs wraps the protocol's error when its own retries are used up. */
function protocolErrorOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { type } = cause as { type?: unknown };
    if (typeof type === 'string') return type;
  }
  return undefined;
}
