/** Time as the relay of this process measures it, which no correction of the wall clock moves; injected for tests. */
export interface RelayClock {
  /** Milliseconds since any fixed moment. */
  now(): number;
  /** Calls back once, after that many milliseconds. @returns what cancels it */
  setTimer(callback: () => void, delayMs: number): () => void;
}

/** The longest delay that Node's timers can wait. */
export const MAX_TIMER_MS = 2_147_483_647;

/** The process's monotonic clock. */
export const monotonicClock: RelayClock = {
  now: () => performance.now(),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    return () => {
      clearTimeout(timer);
    };
  },
};
