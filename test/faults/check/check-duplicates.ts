import type { Arrival } from '../history/records.ts';
import type { Evidence, Trace, Violation } from './evidence.ts';
import { Excuses } from './excuses.ts';

/** For as long may a client library be at it, after a message was given to it. */
const RETRY_LIMIT_MS = 10_000;

export interface Duplicates {
  readonly violations: readonly Violation[];
  /** How many arrivals were one too many, by what explains them. */
  readonly explained: ReadonlyMap<string, number>;
}

/** One time that a message was given to a transport. */
interface Publishing {
  readonly t: number;
  readonly process: string;
  readonly batch: readonly string[];
}

/**
 * Counts what has arrived more than once, and looks for the reason. A message that was given to the transport twice
 * needs a fault between the two times, which has hit one of the two processes, the broker or the database; or a refusal
 * of a message in the same batch, after which a batch is sent in parts. A client library that sends again by itself
 * needs a fault too.
 */
export function checkDuplicates({
  arrivals,
  traces,
  faults,
}: Pick<Evidence, 'arrivals' | 'traces' | 'faults'>): Duplicates {
  const publishings = publishingsOf(traces);
  const refusals = refusalsOf(traces);
  const excuses = new Excuses(faults);
  const violations: Violation[] = [];
  const explained = new Map<string, number>();

  const reasonBetween = (first: Publishing, process: string, end: number): string | undefined => {
    const fault = excuses.find([first.process, process, 'broker', 'database'], first.t, end);
    if (fault) return fault;
    const isRefused = refusals.some(
      ({ t, process: by, id }) =>
        t >= first.t && t <= end && by === first.process && first.batch.includes(id),
    );
    return isRefused ? 'refusal in the batch' : undefined;
  };

  for (const copies of Map.groupBy(arrivals, ({ messageId }) => messageId).values()) {
    const [first] = copies;
    const times = publishings.get(first!.messageId) ?? [];
    const complain = (what: string): void =>
      void violations.push({ kind: 'unexplained duplicate', text: describe(first!, copies, times, what) });
    if (times.length === 0) complain('no relay has written down that it sends it');
    if (copies.length === 1) continue;
    const [firstTime] = times;
    const lastTime = times.at(-1);
    if (!firstTime || !lastTime) continue;
    const reasons = times.slice(1).map(({ process, t }, index) => reasonBetween(times[index]!, process, t));
    // More copies than sendings: the client library has sent again, or a batch was sent in parts.
    for (let surplus = copies.length - times.length; surplus > 0; surplus--) {
      reasons.push(reasonBetween(firstTime, lastTime.process, lastTime.t + RETRY_LIMIT_MS));
    }
    if (reasons.includes(undefined)) complain('no fault explains it');
    for (let extra = 0; extra < copies.length - 1; extra++) {
      const reason = reasons[extra] ?? 'unexplained';
      explained.set(reason, (explained.get(reason) ?? 0) + 1);
    }
  }
  return { violations, explained };
}

function refusalsOf(traces: readonly Trace[]): { t: number; process: string; id: string }[] {
  return traces.flatMap((trace) => {
    if (trace.type !== 'parked' && trace.type !== 'dead-lettered') return [];
    return [{ t: trace.t, process: trace.process, id: trace.id }];
  });
}

function publishingsOf(traces: readonly Trace[]): Map<string, Publishing[]> {
  const publishings = new Map<string, Publishing[]>();
  for (const trace of traces) {
    if (trace.type !== 'publishing') continue;
    const publishing = { t: trace.t, process: trace.process, batch: trace.ids };
    for (const id of trace.ids) {
      const times = publishings.get(id);
      if (times) times.push(publishing);
      else publishings.set(id, [publishing]);
    }
  }
  return publishings;
}

function describe(
  { key, seq, messageId }: Arrival,
  copies: readonly Arrival[],
  times: readonly Publishing[],
  what: string,
): string {
  const sendings = times.map(({ t, process }) => `${process} at ${t.toFixed(0)}`).join(', ');
  return `${key} #${seq} (message ${messageId}) has arrived ${copies.length} times, and ${what}; sent by ${sendings || 'nobody'}`;
}
