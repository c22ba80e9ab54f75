/** Milliseconds of the machine's monotonic clock, which all processes of the machine have in common. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The same moment by that clock. @param time by `performance.now()` of this process */
export function toMonotonicMs(time: number): number {
  return monotonicMs() - (performance.now() - time);
}
