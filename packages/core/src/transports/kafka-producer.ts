import type { Message } from '../messages/message.js';

/** Port: the client that `KafkaTransport` sends its requests by. Of its methods only `close` may reject. */
export abstract class KafkaProducer {
  /**
   * Does what has to be done before a request to this topic can be sent at once, in bounded time: no lease is asked for
   * again afterwards. Sends no messages.
   *
   * @returns why a request can't be sent, or undefined
   */
  abstract prepare(topic: string): Promise<KafkaFault | undefined>;

  /**
   * Sends messages to one topic in one request for each broker, those of one key in the order given, and resolves in
   * bounded time. Nothing of them may be sent after that: the relay may have given them to another instance.
   *
   * @returns what became of each message, those of one key in one answer
   */
  abstract send(topic: string, messages: readonly Message[]): Promise<readonly KafkaAnswer[]>;

  /** Forgets what is known of topics and brokers, after a fault that `mayBeStale`. */
  abstract renew(): Promise<void>;

  /** Closes the connections that it has opened itself. */
  abstract close(): Promise<void>;
}

/** What became of some messages of a request: of all of them, or of those of a partition where the client tells. */
export interface KafkaAnswer {
  readonly messages: readonly Message[];
  /** Why they were not taken; absent: they are acknowledged. */
  readonly fault?: KafkaFault;
}

/** Why Kafka has not taken messages. */
export interface KafkaFault {
  readonly error: unknown;
  /**
   * The protocol's name of the error, such as `MESSAGE_TOO_LARGE`, where a broker has given one
   * (https://kafka.apache.org/protocol.html#protocol_error_codes).
   */
  readonly name: string | undefined;
  /** Whether the client may have been wrong about the topics, or about who leads them: renewed it may know better. */
  readonly mayBeStale: boolean;
}
