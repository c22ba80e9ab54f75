import type { Tenure } from './check-leases.ts';

/** How long slots were nobody's, in milliseconds; undefined when it has not come to it. */
export interface Handovers {
  /** After an orderly end. */
  readonly longestHandoverMs: number | undefined;
  /** After the death of a relay. */
  readonly longestTakeoverMs: number | undefined;
}

/** From the end of a tenure to the beginning of the next one of its slot. */
export function handoversOf(tenures: readonly Tenure[]): Handovers {
  const gaps = { handover: [] as number[], takeover: [] as number[] };
  for (const own of Map.groupBy(tenures, ({ slot }) => slot).values()) {
    const sorted = own.toSorted((a, b) => a.from - b.from);
    for (const tenure of sorted) {
      // One that was frozen may have been replaced before its end.
      const next = sorted.find(
        ({ from, process }) => from >= tenure.to || (from > tenure.from && process !== tenure.process),
      );
      if (!next) continue;
      const gap = Math.max(0, next.from - tenure.to);
      if (tenure.end === 'left') gaps.handover.push(gap);
      if (tenure.end === 'killed') gaps.takeover.push(gap);
    }
  }
  return { longestHandoverMs: longest(gaps.handover), longestTakeoverMs: longest(gaps.takeover) };
}

function longest(gaps: readonly number[]): number | undefined {
  return gaps.length > 0 ? Math.max(...gaps) : undefined;
}
