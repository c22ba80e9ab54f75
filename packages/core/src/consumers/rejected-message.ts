/** What of a message may be kept in part only. */
export type MessagePart = 'topic' | 'key' | 'headers' | 'payload';

/** A message that could not be handled as it is, with all that a person needs to find and judge it. */
export interface RejectedMessage {
  readonly messageId: string | undefined;
  readonly name: string | undefined;
  readonly topic: string;
  readonly key: string | undefined;
  /** Where it was: `kafka meetings[3]@42`. */
  readonly coordinates: string;
  readonly reason: string;
  /** Of the handler's last failure. */
  readonly stack: string | undefined;
  /** How often its handlers have failed; 0 when none was run. */
  readonly attempts: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The raw bytes. */
  readonly payload: Buffer | null;
  /** Parts that were cut before it came here; none unless given. What a store cuts itself, it finds out itself. */
  readonly incompleteParts?: readonly MessagePart[];
}
