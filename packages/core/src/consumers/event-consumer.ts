import { Logger, type OnModuleDestroy } from '@nestjs/common';
import { RmqContext } from '@nestjs/microservices';
import { messageOf } from '../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { monotonicClock } from '../relay/relay-clock.js';
import { RELAY_DEFAULTS } from '../relay/relay.options.js';
import { TimeoutError, withTimeLimit } from '../transports/time-limit.js';
import { acknowledge, rejectionFor, requeue } from './acknowledgement.js';
import type { ConsumerTelemetry, ConsumerCounts } from './consumer-telemetry.js';
import { HoldEndedError, type Hold } from './hold.js';
import type { MessageAttempts } from './message-attempts.js';
import { MessagesInHand } from './messages-in-hand.js';
import type { Readiness } from './readiness.js';
import { describeMessage, isRecord, receive, type ReceivedMessage } from './received-message.js';

/** Receives messages in a Nest controller, which `forRoot({ consume })` can make, and hands their events to the handlers. */
export class EventConsumer implements OnModuleDestroy {
  readonly #logger = new Logger(EventConsumer.name);
  /**
   * What becomes of a message, on its context: two controllers of one topic get the same, which is acknowledged once. In a WeakMap,
   * minor garbage collections would take it all for alive.
   */
  readonly #handling = Symbol('cqrs-outbox:handling');
  readonly #inHand = new MessagesInHand(monotonicClock);

  constructor(
    private readonly options: ResolvedOptions,
    private readonly attempts: MessageAttempts,
    private readonly telemetry: ConsumerTelemetry,
    private readonly readiness: Readiness,
  ) {}

  /** What became of the messages since the process started. */
  get counts(): ConsumerCounts {
    return this.telemetry.counts;
  }

  /**
   * Rebuilds the event, runs each of its handlers in a transaction with its inbox row, and acknowledges the message
   * when all have committed. To be awaited or returned by the controller.
   *
   * - A handler fails: tried again after a backoff, up to `consumer.maxAttempts`; handlers that have committed are
   *   skipped then. The message holds its place meanwhile. After that, and at once for a {@link NonRetryableError}, it
   *   becomes a dead letter (`consumer.deadLetters`) and is acknowledged.
   * - A handler does not settle within `consumer.handlerTimeoutMs`: its transaction is rolled back, and it has failed.
   * - The database is away, or Nest's Kafka server has made text of bytes (`PAYLOAD_BYTES_LOST`): tried again for as long as
   *   it takes, and nothing is counted.
   * - No class has the event's name, or its version is newer and the policy `newerVersion` ignores that: acknowledged with
   *   a warning.
   * - No message of ours, an unreadable or invalid payload, a version without an upcaster, a newer one unless the policy
   *   accepts or ignores it, a content type or encoding that is unknown, too many headers: a dead letter at once.
   * - The application ends, the broker takes the message away, or RabbitMQ's was held for 15 minutes: it is left to the broker, which delivers it again.
   *   On Kafka this rejects with `KafkaRetriableException`, so that the offset stays. On Redis, NATS, TCP and MQTT no
   *   broker has it any more, and it is lost: these are weaker.
   * - On the in-memory transport a failure rejects with its error at once: the relay tries again, up to its own
   *   `maxAttempts`.
   *
   * A message that comes before the application has booted waits for that.
   *
   * RabbitMQ needs `noAck: false` in the server's options: with `true`, a crash loses what is being handled.
   *
   * @param payload what `@Payload()` gives
   * @param context what `@Ctx()` gives
   */
  consume(payload: unknown, context: unknown): Promise<void> {
    if (!isRecord(context)) return this.handle(payload, context);
    const known = Reflect.get(context, this.#handling) as Promise<void> | undefined;
    if (known) return known;
    const handling = this.handle(payload, context);
    Reflect.defineProperty(context, this.#handling, { value: handling, configurable: true });
    return handling;
  }

  private async handle(payload: unknown, context: unknown): Promise<void> {
    if (!this.readiness.isOpen) await this.readiness.wait();
    const message = receive(payload, context);
    this.telemetry.received(message);
    const cameLate = this.#inHand.isEnding;
    const hold = this.#inHand.hold(context);
    try {
      await this.attempts.run(message, hold);
      this.acknowledge(context, message);
    } catch (error) {
      this.giveBack(context, message, hold, error, cameLate);
    } finally {
      this.#inHand.release(hold);
      // The second controller may be late, and RabbitMQ closes the channel for a second acknowledgement.
      if (isRecord(context) && !(context instanceof RmqContext))
        Reflect.deleteProperty(context, this.#handling);
    }
  }

  /** Ends all waits, and waits for the handlers that are at work: for `relay.drainTimeoutMs`, as the relay does. */
  async onModuleDestroy(): Promise<void> {
    const { drainTimeoutMs } = this.options.relay || RELAY_DEFAULTS;
    try {
      await withTimeLimit(this.#inHand.end(), drainTimeoutMs, 'Handling the messages in hand');
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      this.#logger.warn(`${error.message}: the database closes under them, and the messages come again.`);
    }
  }

  private acknowledge(context: unknown, message: ReceivedMessage): void {
    try {
      acknowledge(context);
    } catch (error) {
      // Its channel was closed: RabbitMQ delivers it again, and the inbox skips it.
      this.#logger.warn(`Done but not acknowledged, ${describeMessage(message)}: ${messageOf(error)}`);
    }
  }

  private giveBack(
    context: unknown,
    message: ReceivedMessage,
    hold: Hold,
    error: unknown,
    cameLate: boolean,
  ): void {
    this.telemetry.givenBack();
    const why = error instanceof HoldEndedError ? `since ${error.message}` : messageOf(error);
    this.#logger.warn(`Not done, ${describeMessage(message)}: ${why}`);
    if (!(context instanceof RmqContext)) throw rejectionFor(context, error);
    // What comes while the application ends stays with it, unacknowledged, until the channel closes: given back, it would
    // come again at once, and so on.
    if (!hold.isLost && !cameLate) requeue(context);
  }
}
