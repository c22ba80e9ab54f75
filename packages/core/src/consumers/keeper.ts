/** What keeps a message ours at its broker while it is handled and waits for its next try. */
export interface Keeper {
  /** Begins. @param onLost to be called when the broker has taken the message away */
  start(onLost: (cause: unknown) => void): void;
  stop(): void;
}
