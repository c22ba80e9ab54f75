import type { Message } from '../messages/message.js';

/** What became of one message. */
export type PublishResult =
  /** The destination has acknowledged it, in the sense that docs/transports.md gives for each. */
  | { readonly status: 'published'; readonly error?: undefined }
  /** The destination works, but does not take this message: too large, unroutable, not allowed. */
  | {
      readonly status: 'refused';
      readonly error: unknown;
      /** Another try can't help. */ readonly permanent?: boolean;
    }
  /** The destination can't be reached or did not answer in time. It may have the message all the same. */
  | { readonly status: 'unavailable'; readonly error: unknown }
  /** Not tried, since an earlier message of its key was not published. */
  | { readonly status: 'held'; readonly error?: undefined };

/** How a batch is to be published. */
export interface PublishOptions {
  /**
   * Whether something may still be sent: ask before each request to the broker, and leave the rest `held` when it says
   * no. It says no when the relay's lease is about to run out and another instance may send the same messages.
   */
  readonly mayStart: () => boolean;
}

/** What a trace calls a messaging system that is not known, or more than one. */
export const OTHER_SYSTEM = '_OTHER';

/** Port: publishes messages to one destination. */
export abstract class Transport {
  /** What a trace calls the system behind it: OpenTelemetry's `messaging.system`. */
  get messagingSystem(): string {
    return OTHER_SYSTEM;
  }

  /**
   * Publishes a batch and resolves with one result for each message, in the same order. Messages of one key are
   * published in the order given: when one of them is not, those after it are `held`. It does not reject for what a
   * result can say, and it settles in bounded time.
   *
   * @param options absent: there is nothing to ask
   */
  abstract publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]>;

  /** Releases what the transport has opened itself. Called once, at shutdown. */
  abstract close(): Promise<void>;
}

/** Of a batch that is published without a lease. */
export const UNLIMITED: PublishOptions = { mayStart: () => true };

export const PUBLISHED: PublishResult = { status: 'published' };
export const HELD: PublishResult = { status: 'held' };
