import type { MicroserviceOptions } from '@nestjs/microservices';
import type { Credit } from './account-database.ts';
import type { WireMessage } from './wire-messages.ts';

/** Handles one message, or several that belong to one transaction. */
export type Handle = (credits: readonly Credit[]) => Promise<void>;

export interface ConsumerSettings {
  /** So many messages are in hand at the same time. */
  readonly inHand: number;
  /** So many transactions are open at the same time. */
  readonly transactions: number;
  /** So many messages at most are in one transaction. */
  readonly batchSize: number;
}

/** A topic or queue of one run, with the messages that are to be consumed. */
export interface MessageSource {
  /** For `consume`. */
  readonly topic: string;
  /** Resolves when the broker has all. */
  publish(messages: readonly WireMessage[]): Promise<void>;
  /** What a user gives to Nest. */
  server(settings: ConsumerSettings): MicroserviceOptions;
  /** The floor: consumes with nothing between it and the broker's client. @returns what ends it */
  consumeByHand(handle: Handle, settings: ConsumerSettings): Promise<() => Promise<void>>;
  drop(): Promise<void>;
}

/** What a hand-written consumer reads of a message. */
export function creditOf(messageId: unknown, payload: { account: string; amount: number }): Credit {
  return { messageId: String(messageId), account: payload.account, amount: payload.amount };
}
