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

/** Port: publishes messages to one destination. */
export abstract class Transport {
  /**
   * Publishes a batch and resolves with one result for each message, in the same order. Messages of one key are
   * published in the order given: when one of them is not, those after it are `held`. It does not reject for what a
   * result can say, and it settles in bounded time.
   */
  abstract publish(messages: readonly Message[]): Promise<PublishResult[]>;

  /** Releases what the transport has opened itself. Called once, at shutdown. */
  abstract close(): Promise<void>;
}

export const PUBLISHED: PublishResult = { status: 'published' };
export const HELD: PublishResult = { status: 'held' };
