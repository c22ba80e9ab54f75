import type { Message, Transport } from '@cqrs-outbox/core';

/** What the author of a transport supplies, to run {@link transportContract} on it. */
export interface TransportHarness {
  /**
   * Whether JSON arrives as the same `bytes`, or as something that means the same, since it is parsed on its way. Other
   * content types arrive as the same bytes in any case.
   */
  readonly json: 'same bytes' | 'same meaning';
  /** Whether `published` means that the broker has it, or only that it was written to a connection. */
  readonly acknowledgement: 'by the broker' | 'when written';
  /** The most that a payload can have, in bytes. */
  readonly maxPayloadBytes: number;
  /** Opens a transport, and a receiver at the other end of it. Called once. */
  open(): Promise<TransportFixture>;
  /** Opens a transport whose broker is at this address of the contract's own, where there is none. */
  readonly openAt?: (port: number) => Promise<ClosableTransport>;
}

/** A transport, and how to get rid of it and all that was made for it. */
export interface ClosableTransport {
  readonly transport: Transport;
  /** Called after `transport.close`, which the contract calls itself. */
  close(): Promise<void>;
}

/** An open transport with its receiver. */
export interface TransportFixture extends ClosableTransport {
  /** What the receiver listens to. */
  readonly topic: string;
  /** A second topic it listens to, where topics are a thing of this transport. */
  readonly otherTopic?: string;
  /**
   * Resolves when all messages with these ids have arrived, with each of their arrivals, oldest first. Rejects after a
   * while of its own.
   */
  arrivals(ids: readonly string[]): Promise<ArrivedMessage[]>;
  /** Changes a message so that the broker works but refuses it; absent where it takes everything. */
  readonly refusable?: (message: Message) => Message;
}

/** A message as a consumer gets it. */
export interface ArrivedMessage {
  readonly id: string;
  /** As the transport has it: Kafka's key, and the header or property elsewhere. */
  readonly key: string;
  /** The attributes as `WIRE_HEADERS` names them, and the user's own headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer | null;
}
