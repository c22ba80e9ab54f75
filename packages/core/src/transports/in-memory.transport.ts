import { AsyncLocalStorage } from 'node:async_hooks';
import {
  BaseRpcContext,
  Server,
  type CustomTransportStrategy,
  type MessageHandler,
} from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { toWireHeaders, type Message } from '../messages/message.js';
import { publishInLanes } from './lanes.js';
import { TimeoutError, withTimeLimit } from './time-limit.js';
import { PUBLISHED, Transport, type PublishOptions, type PublishResult } from './transport.js';

/** How many messages are handled at the same time; a database may well do one after another. */
const MAX_LANES = 16;

/** What `@Ctx()` gives a controller on the in-memory transport. */
export class InMemoryContext extends BaseRpcContext<[InMemoryMessage]> {
  #failure: { error: unknown } | undefined;

  /** Why the message was not handled, past Nest's exception filter, which makes an error of its own of it. @internal */
  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }

  /** @internal */
  fail(error: unknown): void {
    this.#failure = { error };
  }

  getMessage(): InMemoryMessage {
    return this.args[0];
  }

  getTopic(): string {
    return this.args[0].topic;
  }
}

/** A message as a broker would hand it over: bytes and text headers, nothing shared with the publisher. */
export interface InMemoryMessage {
  readonly topic: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer | null;
}

/**
 * Publishes to `@EventPattern(topic)` controllers of the same process, without any broker: for embedded use and tests.
 *
 * A message counts as published when the controllers have handled it. If they fail, or the process dies meanwhile, its
 * row is still in the outbox and it is delivered again, so that nothing is lost although nothing here is durable.
 *
 * @example
 * const transport = new InMemoryTransport();
 * // CqrsOutboxModule.forRoot({ transport, ... })
 * app.connectMicroservice({ strategy: transport.createServer() });
 * await app.startAllMicroservices();
 */
export class InMemoryTransport extends Transport {
  readonly #servers = new Set<InMemoryServer>();
  /** A broker would be another process: nothing of the publisher's transaction or request reaches the controllers. */
  readonly #detached = AsyncLocalStorage.snapshot();

  /** @param deliveryTimeoutMs how long controllers may take for one message, in milliseconds */
  constructor(private readonly deliveryTimeoutMs = 30_000) {
    super();
  }

  override get messagingSystem(): string {
    return 'memory';
  }

  /** Makes a Nest transport strategy that receives what is published here. Several may listen: each gets all. */
  createServer(): CustomTransportStrategy & Server {
    return new InMemoryServer(this.#servers);
  }

  publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]> {
    return publishInLanes(messages, (message) => this.publishOne(message), options, MAX_LANES);
  }

  async close(): Promise<void> {}

  private async publishOne(message: Message): Promise<PublishResult> {
    if (this.#servers.size === 0) {
      const hint =
        'call app.connectMicroservice({ strategy: transport.createServer() }) and startAllMicroservices()';
      return {
        status: 'unavailable',
        error: new Error(`Nothing listens to the in-memory transport: ${hint}`),
      };
    }
    try {
      const delivered = this.#detached(() => this.deliver(message));
      await withTimeLimit(delivered, this.deliveryTimeoutMs, `Handling ${message.id}`);
      return PUBLISHED;
    } catch (error) {
      // Controllers that are slow have not refused the message, and may still handle it.
      return error instanceof TimeoutError ? { status: 'unavailable', error } : { status: 'refused', error };
    }
  }

  private async deliver(message: Message): Promise<void> {
    const { topic, key, payload } = message;
    const delivered = { topic, key, headers: toWireHeaders(message), value: payload && Buffer.from(payload) };
    await Promise.all([...this.#servers].map((server) => server.deliver(delivered)));
  }
}

class InMemoryServer extends Server implements CustomTransportStrategy {
  /** A handler's failure reaches the relay, which delivers again; Nest need not log it. */
  override readonly propagatesEventHandlerErrors = true;

  constructor(private readonly listening: Set<InMemoryServer>) {
    super();
  }

  listen(callback: () => void): void {
    this.listening.add(this);
    callback();
  }

  close(): void {
    this.listening.delete(this);
  }

  on(): never {
    throw new Error('The in-memory transport has no events.');
  }

  unwrap<T>(): T {
    throw new Error('The in-memory transport has no client library.');
  }

  async deliver(message: InMemoryMessage): Promise<void> {
    const handler = this.getHandlerByPattern(message.topic);
    if (!handler) {
      this.logger.debug?.(`No controller listens to ${message.topic}.`);
      return;
    }
    const context = new InMemoryContext([message]);
    // The processing hooks of tracing libraries need not hand on what the handler returns.
    await new Promise<void>((resolve, reject) => {
      this.runWithProcessingHooks(context, async (runEndHook) => {
        await this.handle(handler, message, context).finally(runEndHook).then(resolve, reject);
      });
    });
  }

  private async handle(
    handler: MessageHandler,
    message: InMemoryMessage,
    context: InMemoryContext,
  ): Promise<void> {
    try {
      const result: unknown = await handler(parse(message.value), context);
      if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
    } catch (error) {
      throw context.failure ? context.failure.error : error;
    }
  }
}

/** What `@Payload()` gives: parsed JSON, and text for what is none, like Nest's Kafka server. */
function parse(value: Buffer | null): unknown {
  if (value === null) return null;
  const text = value.toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
