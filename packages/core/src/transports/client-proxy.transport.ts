import type { ClientProxy } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import type { Message } from '../messages/message.js';
import { publishInLanes } from './lanes.js';
import { closeInTime, withTimeLimit } from './time-limit.js';
import { PUBLISHED, Transport, type PublishOptions, type PublishResult } from './transport.js';

/**
 * What is emitted on transports that have neither headers nor keys of their own (TCP, Redis, NATS, MQTT, custom ones):
 * the whole message as one plain object.
 */
export interface Envelope {
  id: string;
  name: string;
  version: number;
  source: string;
  topic: string;
  key: string;
  /** ISO 8601, UTC. */
  occurredAt: string;
  correlationId: string;
  causationId?: string;
  contentType: string;
  contentEncoding?: string;
  headers: Record<string, string>;
  /** The structure itself for JSON, base64 text for any other content type, and for what has a content encoding. */
  payload: unknown;
}

/** Publishes through any Nest `ClientProxy`, by `emit(topic, envelope)`. */
export class ClientProxyTransport extends Transport {
  constructor(
    private readonly client: ClientProxy,
    private readonly publishTimeoutMs: number,
    /** Whether the client was made for this transport, and is closed with it. */
    private readonly ownsClient: boolean,
  ) {
    super();
  }

  /** `ClientRedis` is for redis. */
  override get messagingSystem(): string {
    return this.client.constructor.name.replace(/^Client/, '').toLowerCase() || super.messagingSystem;
  }

  publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]> {
    const publishOne = async (message: Message): Promise<PublishResult> => {
      let envelope: Envelope;
      try {
        envelope = toEnvelope(message);
      } catch (error) {
        // It says to be JSON and is none: no other try can help.
        return { status: 'refused', error, permanent: true };
      }
      try {
        const emitted = lastValueFrom(this.client.emit<unknown>(message.topic, envelope), {
          defaultValue: undefined,
        });
        await withTimeLimit(emitted, this.publishTimeoutMs, `Publishing ${message.id}`);
        return PUBLISHED;
      } catch (error) {
        if (blamesMessage(error)) return { status: 'refused', error, permanent: true };
        return { status: 'unavailable', error };
      }
    };
    return publishInLanes(messages, publishOne, options);
  }

  async close(): Promise<void> {
    if (this.ownsClient)
      await closeInTime('the client', async () => {
        await this.client.close();
      });
  }
}

/** Errors of client libraries that find fault with what they were given: NATS' two, and the language's own. */
const ARGUMENT_ERRORS: readonly string[] = [
  'InvalidArgumentError',
  'InvalidSubjectError',
  'TypeError',
  'RangeError',
];

/** Whether no other try can help. What can't be told is taken for an outage, which loses nothing. */
function blamesMessage(error: unknown): boolean {
  return error instanceof Error && ARGUMENT_ERRORS.includes(error.name);
}

/** The message as a plain object. */
function toEnvelope(message: Message): Envelope {
  const isJson = message.contentType === 'application/json' && message.contentEncoding === undefined;
  return {
    id: message.id,
    name: message.name,
    version: message.version,
    source: message.source,
    topic: message.topic,
    key: message.key,
    occurredAt: message.occurredAt.toISOString(),
    correlationId: message.correlationId,
    ...(message.causationId === undefined ? {} : { causationId: message.causationId }),
    contentType: message.contentType,
    ...(message.contentEncoding === undefined ? {} : { contentEncoding: message.contentEncoding }),
    headers: { ...message.headers },
    payload:
      message.payload === null
        ? null
        : isJson
          ? (JSON.parse(message.payload.toString('utf8')) as unknown)
          : message.payload.toString('base64'),
  };
}
