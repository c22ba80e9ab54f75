import type { Evidence, Violation } from './evidence.ts';
import { Excuses } from './excuses.ts';

/** Of one slot: held from when a relay was told so until it gave it up, or its process ended. */
export interface Tenure {
  readonly slot: number;
  readonly process: string;
  readonly from: number;
  readonly to: number;
  readonly end: 'lost' | 'left' | 'killed' | 'still there';
}

/** The records of two processes may be written down this much too late: two cores have a lot to do here. */
const TOLERANCE_MS = 300;
/**
 * Whether two relays have thought at the same time that a slot is theirs. Only one that was frozen, or cut off from the
 * database, may have been told late.
 */
export function checkLeases(evidence: Pick<Evidence, 'traces' | 'ends' | 'faults'>): Violation[] {
  const excuses = new Excuses(evidence.faults);
  const violations: Violation[] = [];
  for (const tenures of Map.groupBy(tenuresOf(evidence), ({ slot }) => slot).values()) {
    const sorted = tenures.toSorted((a, b) => a.from - b.from);
    for (const [index, tenure] of sorted.entries()) {
      for (const next of sorted.slice(index + 1)) {
        if (next.from >= tenure.to - TOLERANCE_MS) break;
        if (next.process === tenure.process) continue;
        const end = Math.min(tenure.to, next.to);
        if (excuses.cover([tenure.process, next.process, 'database'], next.from, end)) continue;
        const overlapMs = (end - next.from).toFixed(0);
        const text = `slot ${tenure.slot} was ${next.process}'s from ${next.from.toFixed(0)} on, and for ${overlapMs} ms still ${tenure.process}'s`;
        violations.push({ kind: 'two owners', text });
      }
    }
  }
  return violations;
}

/** How long each slot was whose. */
export function tenuresOf({ traces, ends }: Pick<Evidence, 'traces' | 'ends'>): Tenure[] {
  const open = new Map<string, { slot: number; process: string; from: number }>();
  const stopping = new Set<string>();
  const tenures: Tenure[] = [];
  for (const trace of traces) {
    const { process, t } = trace;
    if (trace.type === 'stopping') stopping.add(process);
    if (trace.type !== 'gained' && trace.type !== 'lost') continue;
    for (const slot of trace.slots) {
      const id = `${process} ${slot}`;
      const tenure = open.get(id);
      if (trace.type === 'gained') {
        if (!tenure) open.set(id, { slot, process, from: t });
      } else if (tenure) {
        open.delete(id);
        tenures.push({ ...tenure, to: t, end: stopping.has(process) ? 'left' : 'lost' });
      }
    }
  }
  for (const tenure of open.values()) {
    const to = ends.get(tenure.process);
    tenures.push({ ...tenure, to: to ?? Infinity, end: to === undefined ? 'still there' : 'killed' });
  }
  return tenures;
}
