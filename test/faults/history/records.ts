import type { FaultKind } from '../plan/fault.ts';

/** What an event is made for: to arrive, to be refused for a while, or to be refused for ever. */
export type Fate = 'arrives' | 'refused' | 'doomed';

/** What events carry, and the business table says in the same transaction. */
export interface EventFacts {
  /** Of this event alone, also where a rolled-back transaction has used the same number. */
  readonly token: string;
  readonly key: string;
  /** 1, 2, 3 ... in the order of the commits of the key: drawn under the lock of the key's row. */
  readonly seq: number;
  readonly fate: Fate;
}

/** What relays write down. */
export type RelayRecord = { readonly instance?: string | undefined } & (
  | { readonly type: 'started' | 'stopping' | 'stopped' }
  | { readonly type: 'publishing' | 'published'; readonly ids: readonly string[] }
  | { readonly type: 'parked' | 'dead-lettered'; readonly id: string; readonly error: string }
  | { readonly type: 'failed'; readonly error: string }
  | { readonly type: 'gained' | 'lost'; readonly slots: readonly number[] }
);

/** What writers write down: which transactions they know to be committed, and which not. */
export interface WriterRecord {
  readonly outcome: 'committed' | 'rolled back' | 'unknown';
  readonly tokens: readonly string[];
  readonly error?: string;
}

/** A fault as it was done. Its times are those of the monotonic clock, in milliseconds. */
export interface FaultWindow {
  readonly id: number;
  readonly kind: FaultKind;
  /** Names of processes, or `database` and `broker`, by which it touches all. */
  readonly touches: readonly string[];
  readonly from: number;
  readonly to: number;
}

/** A message as the broker has it. */
export interface Arrival extends Omit<EventFacts, 'fate'> {
  readonly messageId: string;
  /** A partition or a queue: what has an order of its own. */
  readonly lane: string;
  /** Place in the lane. */
  readonly index: number;
  /** When the broker took it, by its own clock: the order between lanes. Coarse, so equal times say nothing. */
  readonly time: number;
}
