const RealDate = Date;
let offsetMs = 0;

/** What `Date` says, set forward or back; `performance.now()` and timers go on, as on a machine whose clock is set. */
class ShiftableDate extends RealDate {
  constructor(...parts: [] | [number | string | Date]) {
    if (parts.length === 0) super(RealDate.now() + offsetMs);
    // Other forms of the constructor pass through, whatever they are.
    else super(...parts);
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

/** Sets the clock of this process forward, or back, for all code that asks for the time from now on. */
export function shiftClock(byMs: number): void {
  offsetMs += byMs;
  globalThis.Date = ShiftableDate as DateConstructor;
}
