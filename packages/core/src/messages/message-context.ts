/** What an event handler learns about the message that carried its event. */
export interface MessageContext {
  /** The message's id, the same at each delivery: the inbox remembers it. */
  readonly messageId: string;
  readonly name: string;
  /**
   * The version that was received. The event itself has the version of its class: an older payload went through the
   * upcasters, a newer one was accepted by the policy `newerVersion`.
   */
  readonly version: number;
  readonly source: string;
  readonly topic: string;
  readonly key: string;
  readonly occurredAt: Date;
  readonly correlationId: string;
  readonly causationId: string | undefined;
  /** The user's headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where the message was, for logs: `kafka meetings[3]@42`. `in process` for an event sent by hand. */
  readonly coordinates: string;
}
