import type { Arrival } from '../history/records.ts';
import type { Violation } from './evidence.ts';

/** Whether the first arrivals of each key are in the order of its sequence numbers, that of the commits. */
export function checkOrder(arrivals: readonly Arrival[]): Violation[] {
  const firsts = new Map<string, Arrival>();
  for (const arrival of arrivals) {
    const first = firsts.get(arrival.token);
    if (!first || isBefore(arrival, first)) firsts.set(arrival.token, arrival);
  }
  const keys = Map.groupBy(firsts.values(), ({ key }) => key);
  return [...keys.values()].flatMap(checkKey);
}

function checkKey(arrivals: readonly Arrival[]): Violation[] {
  const violations: Violation[] = [];
  /** Of the events so far the last one to arrive, in each lane. */
  const latest = new Map<string, Arrival>();
  for (const arrival of arrivals.toSorted((a, b) => a.seq - b.seq)) {
    for (const other of latest.values()) {
      if (!isBefore(arrival, other) || other.seq === arrival.seq) continue;
      const text = `${arrival.key} #${other.seq} (${placeOf(other)}) came after #${arrival.seq} (${placeOf(arrival)})`;
      violations.push({ kind: 'out of order', text });
    }
    const last = latest.get(arrival.lane);
    if (!last || isBefore(last, arrival)) latest.set(arrival.lane, arrival);
  }
  return violations;
}

/** Exact within a lane; between lanes by the broker's coarse clock, whose equal times say nothing. */
function isBefore(a: Arrival, b: Arrival): boolean {
  return a.lane === b.lane ? a.index < b.index : a.time < b.time;
}

function placeOf({ lane, index }: Arrival): string {
  return `${lane} at ${index}`;
}
