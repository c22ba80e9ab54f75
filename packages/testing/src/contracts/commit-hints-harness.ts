import type { CommitHints } from '@cqrs-outbox/core';

/** What the author of `CommitHints` supplies, to run {@link commitHintsContract} on them. */
export interface CommitHintsHarness {
  /** Makes a channel that nobody else uses. Called once. */
  open(): Promise<CommitHintsFixture>;
  /** Breaks the connections of all ends that are open; absent where there is nothing to break. */
  readonly breakConnections?: () => Promise<void>;
}

/** A channel, and how to get rid of all that was made for it. */
export interface CommitHintsFixture {
  /** The end of one more process, which the contract closes. */
  connect(): Promise<CommitHints>;
  /** Called when all ends are closed. */
  close(): Promise<void>;
}
