import type { ClientKafka } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { toWireHeaders, type Message } from '../messages/message.js';
import { closeInTime, withTimeLimit } from './time-limit.js';

/** Produces through Nest's `ClientKafka`, which can be renewed: it then has another kafkajs producer. */
export class KafkaProducer {
  readonly #sending = new Set<Promise<void>>();
  #renewal: Promise<void> | undefined;

  constructor(
    private readonly client: ClientKafka,
    private readonly timeoutMs: number,
    /** Whether the client was made for this producer alone, and can be closed. */
    private readonly ownsClient: boolean,
  ) {}

  /** Resolves when a request would be sent at once. */
  async ready(): Promise<void> {
    await this.#renewal;
  }

  /** One produce request. @throws what kafkajs has thrown */
  async send(topic: string, messages: readonly Message[]): Promise<void> {
    await this.ready();
    const sending = this.produce(topic, messages);
    this.#sending.add(sending);
    try {
      await sending;
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
    if (!this.ownsClient) return;
    await closeInTime('the connection to Kafka', async () => this.client.close());
  }

  private async closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.#sending);
    // The next request connects again.
    await this.close();
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
