/** Where `setTimeout` of the code under test leads while it runs. */
export interface TimerHost {
  setTimer(callback: () => void, delayMs: number): () => void;
}

/**
 * Takes the place of `setTimeout`: time limits, which the relay has beside its injected clock, then end by the virtual
 * time of the process whose code runs at that moment.
 *
 * @returns what puts the real timers back
 */
export function installVirtualTimers(running: () => TimerHost | undefined): () => void {
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
  const cancels = new WeakMap<object, () => void>();
  const setVirtual = (callback: () => void, delayMs = 0): unknown => {
    const host = running();
    if (!host) return realSetTimeout(callback, delayMs);
    const handle = {};
    cancels.set(handle, host.setTimer(callback, delayMs));
    return handle;
  };
  const clearVirtual = (handle: unknown): void => {
    const cancel = typeof handle === 'object' && handle !== null ? cancels.get(handle) : undefined;
    if (cancel) cancel();
    else realClearTimeout(handle as NodeJS.Timeout);
  };
  globalThis.setTimeout = setVirtual as typeof setTimeout;
  globalThis.clearTimeout = clearVirtual;
  return () => {
    globalThis.setTimeout = realSetTimeout;
    globalThis.clearTimeout = realClearTimeout;
  };
}
