import type { Arrival, EventFacts, FaultWindow } from '../history/records.ts';
import type { Evidence, Trace } from './evidence.ts';

/** Evidence of a run without any fault, by hand: events 1 to `count` of one key, sent one by one by `relay-1`, a second apart. */
export function sampleEvidence(count = 3): Evidence {
  const committed = Array.from({ length: count }, (_, index) => eventOf(index + 1));
  return {
    committed,
    acknowledged: committed.map(({ token }) => token),
    arrivals: committed.map(({ seq }) => arrivalOf(seq, seq)),
    deadLetters: [],
    faults: [],
    traces: [
      { process: 'relay-1', t: 0, type: 'gained', slots: [1, 2] },
      ...committed.map(({ seq }) => publishingOf(seq * 1_000, 'relay-1', seq)),
    ],
    ends: new Map(),
  };
}

export function eventOf(seq: number, fate: EventFacts['fate'] = 'arrives'): EventFacts {
  return { token: `token-${seq}`, key: 'a', seq, fate };
}

/** @param index its place in the lane */
export function arrivalOf(seq: number, index: number, lane = 'queue', time = index): Arrival {
  return { token: `token-${seq}`, key: 'a', seq, messageId: `message-${seq}`, lane, index, time };
}

export function publishingOf(t: number, process: string, ...seqs: number[]): Trace {
  return { process, t, type: 'publishing', ids: seqs.map((seq) => `message-${seq}`) };
}

export function faultOf(
  kind: FaultWindow['kind'],
  from: number,
  to: number,
  ...touches: string[]
): FaultWindow {
  return { id: 1, kind, from, to, touches };
}
