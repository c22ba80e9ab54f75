/** What is done to the system while it works. */
export const FAULT_KINDS = [
  'kill-relay',
  'freeze-relay',
  'leave-relay',
  'join-relay',
  'shift-clock',
  'kill-writer',
  'freeze-writer',
  'restart-broker',
  'broker-outage',
  'restart-database',
  'cut',
  'stall',
  'slow',
  'lock-conflict',
  'refusal',
  'poison',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** The moment in a relay's work at which it is hit. */
export type Moment = 'any' | 'publishing' | 'published';

/** One line of the plan. What a kind does not need is undefined. */
export interface PlannedFault {
  readonly id: number;
  readonly kind: FaultKind;
  /** When it begins, in milliseconds after the start of the run. */
  readonly atMs: number;
  /** How long it lasts, in milliseconds; the time until a replacement for what is killed. */
  readonly forMs: number;
  /** Which process: its place among those that live at that moment, modulo their number. */
  readonly target?: number;
  readonly moment?: Moment;
  /** The end of a connection. */
  readonly server?: 'database' | 'broker';
  /** Whose connections. */
  readonly scope?: 'one' | 'all';
  readonly signal?: 'SIGTERM' | 'SIGKILL';
  readonly shiftMs?: number;
  /** Kafka: by its size, which is final at once, or by its topic, which uses up all attempts. */
  readonly poison?: 'too large' | 'no route';
}

export const PAIR_NAMES = ['mariadb-kafka', 'postgres-rabbitmq'] as const;
export type PairName = (typeof PAIR_NAMES)[number];
