/** Ends what {@link CommitHints.listen} has begun. */
export type StopListening = () => Promise<void>;

/**
 * Port: carries the news of a commit from the process that has committed to the relays of others, so that they need not
 * wait for their cron tick. Implement it over whatever can broadcast a short text, such as PostgreSQL's NOTIFY or Redis'
 * PUBLISH, and give it as the option `commitHints`.
 *
 * It may lose hints, and deliver them twice or out of order: a lost one costs the wait for the next tick, and any other
 * finds nothing to do. So it keeps nothing and confirms nothing. All applications that share an outbox need the same one,
 * on a channel that is this outbox's own; what is not a hint there is ignored.
 */
export abstract class CommitHints {
  /** What keeps it from working here: reported at boot, together with all other faults. Nothing, unless overridden. */
  faults(): readonly string[] {
    return [];
  }

  /**
   * Sends a hint to all that listen. Called after a commit, outside of its transaction and its context, and no command
   * waits for it. It is called again only when it has settled, 5 ms later at the earliest, however many transactions
   * commit: what they have to tell is one hint then. It must settle some time: while it hangs, no hints are sent.
   *
   * @param hint at most 4,096 bytes of UTF-8, for {@link listen} to hand over as they are; it names slots and
   *   destinations, and has nothing of a message
   * @throws anything, when it could not be sent: it is logged, and the hint is lost
   */
  abstract announce(hint: string): Promise<void>;

  /**
   * Listens until it is told to stop; at most once at a time, and only where the relay runs. Resolves when whatever is
   * announced from now on will be heard. One that takes over 10 seconds counts as failed, and is stopped when it resolves.
   *
   * @param onHint may be called with hints of this process too. It returns at once, and does not throw
   * @param onLost to be called when nothing will be heard any more: then it is stopped, and called anew after a while
   * @throws anything, when it can't listen: it is tried again, with a backoff of at most 5 seconds
   */
  abstract listen(onHint: (hint: string) => void, onLost: (reason: unknown) => void): Promise<StopListening>;

  /**
   * Frees all that it has opened. Called once, at the very end of the application, also when neither of the others was
   * ever called. It is given 5 seconds.
   */
  abstract close(): Promise<void>;
}
