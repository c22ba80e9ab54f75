import { FAULT_KINDS, PAIR_NAMES, type FaultKind, type PairName, type PlannedFault } from './fault.ts';
import { Random } from './random.ts';

/** The leases of all runs: short, so that many can run out in a short run. */
export const LEASE_MS = 3_000;

/** Before the first fault: the relays share the slots. */
const WARM_UP_MS = 5_000;
/** After the last one. */
const COOL_DOWN_MS = 5_000;
/** From here on a run is long: outages last a minute. */
const LONG_RUN_MINUTES = 10;
const MINUTE_MS = 60_000;
/** How often a fault begins while the one before it lasts. */
const OVERLAP_PROBABILITY = 0.2;

export interface PlanSettings {
  readonly pair: PairName;
  readonly seed: number;
  readonly minutes: number;
  /** @defaultValue all */
  readonly kinds?: readonly FaultKind[];
}

/**
 * The faults of a run, in the order of their beginnings. Kinds are drawn like cards of a shuffled deck: each comes once
 * before any comes again. Between two faults there is as a rule a quiet time, in which nothing excuses a duplicate.
 */
export function planOf({ pair, seed, minutes, kinds = FAULT_KINDS }: PlanSettings): PlannedFault[] {
  const random = new Random(seed * PAIR_NAMES.length + PAIR_NAMES.indexOf(pair));
  const isLong = minutes >= LONG_RUN_MINUTES;
  const end = minutes * MINUTE_MS - COOL_DOWN_MS;
  const plan: PlannedFault[] = [];
  let deck: FaultKind[] = [];
  for (let atMs = WARM_UP_MS; ;) {
    if (deck.length === 0) deck = random.shuffled(kinds);
    const drawn = faultOf(deck.pop()!, plan.length + 1, Math.round(atMs), random, isLong);
    // RabbitMQ has no limit of size that a message in these tests would reach.
    const fault =
      drawn.poison && pair === 'postgres-rabbitmq' ? { ...drawn, poison: 'no route' as const } : drawn;
    if (fault.atMs + fault.forMs > end) return plan;
    plan.push(fault);
    const overlaps = random.chance(OVERLAP_PROBABILITY);
    atMs += overlaps ? fault.forMs * random.next() : fault.forMs + random.integer(3_000, 5_000);
  }
}

function faultOf(kind: FaultKind, id: number, atMs: number, random: Random, isLong: boolean): PlannedFault {
  const fault = { id, kind, atMs };
  const target = random.integer(0, 999);
  const signal = random.pick(['SIGTERM', 'SIGKILL'] as const);
  const server = random.pick(['database', 'broker'] as const);
  const scope = random.pick(['one', 'all'] as const);
  switch (kind) {
    case 'kill-relay':
      return { ...fault, forMs: random.integer(0, 2 * LEASE_MS), target, moment: momentOf(random) };
    case 'freeze-relay':
      return {
        ...fault,
        forMs: random.integer(1.5 * LEASE_MS, 2.5 * LEASE_MS),
        target,
        moment: momentOf(random),
      };
    case 'leave-relay':
    case 'join-relay':
      return { ...fault, forMs: 2_000, target };
    case 'shift-clock':
      return {
        ...fault,
        forMs: 5_000,
        target,
        shiftMs: random.pick([-1, 1]) * random.integer(1, 10) * MINUTE_MS,
      };
    case 'kill-writer':
      return { ...fault, forMs: random.integer(0, 2_000), target };
    case 'freeze-writer':
      return { ...fault, forMs: random.integer(1_000, 4_000), target };
    case 'restart-broker':
    case 'restart-database':
      return { ...fault, forMs: 5_000, signal };
    case 'broker-outage':
      return { ...fault, forMs: isLong ? MINUTE_MS : 8_000, signal };
    case 'cut':
      return { ...fault, forMs: random.integer(0, 2_000), target, server, scope };
    case 'stall':
      return { ...fault, forMs: random.integer(0.5 * LEASE_MS, 2 * LEASE_MS), target, server, scope };
    case 'slow':
      return { ...fault, forMs: 4_000, target, server, scope };
    case 'lock-conflict':
      return { ...fault, forMs: 4_000 };
    case 'refusal':
      return { ...fault, forMs: random.integer(1_000, 2_000) };
    case 'poison':
      return { ...fault, forMs: 1_000, poison: random.pick(['too large', 'no route'] as const) };
  }
}

/** Most faults hit a relay in mid-batch, where it hurts. */
function momentOf(random: Random): PlannedFault['moment'] & string {
  return random.pick(['any', 'publishing', 'publishing', 'published', 'published'] as const);
}
