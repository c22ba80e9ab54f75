import { KafkaContext, RmqContext } from '@nestjs/microservices';
import type { RelayClock } from '../relay/relay-clock.js';
import { InMemoryContext } from '../transports/in-memory.transport.js';
import { ChannelWatch } from './channel-watch.js';
import { Hold, type HoldTerms } from './hold.js';
import { KafkaHeartbeat } from './kafka-heartbeat.js';

/**
 * RabbitMQ closes the channel of a consumer that holds a message for longer than its `consumer_timeout`, 30 minutes unless
 * configured: by then it must have been given back.
 */
const MAX_RABBITMQ_HOLD_MS = 15 * 60 * 1_000;

/** Redis, NATS, TCP and MQTT know no bound: what comes beyond this is tried once, or an outage would fill the memory. */
const MAX_ONLY_HERE = 1_000;

/** The messages that are being handled or wait for their next try. */
export class MessagesInHand {
  readonly #holds = new Set<Hold>();
  readonly #channels = new ChannelWatch();
  #ended: Promise<unknown> | undefined;

  constructor(private readonly clock: RelayClock) {}

  /** Whether no message may wait any more. */
  get isEnding(): boolean {
    return this.#ended !== undefined;
  }

  /** Holds the message of this context, until {@link release}. */
  hold(context: unknown): Hold {
    const hold = new Hold(this.termsOf(context), this.clock);
    if (this.isEnding) hold.end(ENDING);
    this.#holds.add(hold);
    return hold;
  }

  release(hold: Hold): void {
    hold.release();
    this.#holds.delete(hold);
  }

  /** Ends all waits, now and from now on. Resolves when what is in hand now is released. */
  end(): Promise<unknown> {
    this.#ended ??= Promise.all([...this.#holds].map((hold) => hold.released()));
    for (const hold of this.#holds) hold.end(ENDING);
    return this.#ended;
  }

  private get onlyHere(): number {
    return [...this.#holds].filter(({ terms }) => terms.isOnlyHere).length;
  }

  private termsOf(context: unknown): HoldTerms {
    const brokerTerms = { canWait: true, isOnlyHere: false, maxMs: Infinity };
    if (context instanceof KafkaContext)
      return { ...brokerTerms, keeper: new KafkaHeartbeat(context, this.clock) };
    if (context instanceof RmqContext)
      return { ...brokerTerms, maxMs: MAX_RABBITMQ_HOLD_MS, keeper: this.#channels.keeperFor(context) };
    const isOnlyHere = !(context instanceof InMemoryContext);
    const canWait = isOnlyHere && this.onlyHere < MAX_ONLY_HERE;
    return { canWait, isOnlyHere, maxMs: Infinity, keeper: undefined };
  }
}

const ENDING = 'the application ends';
