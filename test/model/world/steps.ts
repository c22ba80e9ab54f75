import { faultsOf } from './faults.ts';
import type { Operation } from './operation.ts';
import type { RelayProcess, VirtualTimer } from './relay-process.ts';
import { LEASE_MS } from './settings.ts';
import type { World } from './world.ts';

/** What may happen next. */
export interface Option {
  /** What choosing it takes from a run's budget: `free` is what happens when nothing is chosen. */
  readonly cost: 'free' | 'deviation' | 'fault';
  readonly label: string;
  /** Another one could be taken in its place. The passing of time, and timers, come when it is their turn. */
  readonly isPoint?: boolean;
  /** Nothing is left to be done at this time. */
  readonly isWaiting?: boolean;
  readonly take: () => void;
}

interface Enabled {
  readonly since: number;
  readonly sequence: number;
  readonly isPostponed: boolean;
  readonly operation?: Operation;
  readonly option: Option;
}

/**
 * All that may happen next. The first option is the oldest of what can happen at this time, and the passing of time when
 * there is none. Any other order is a deviation.
 *
 * @param all false: only the first option, where nothing is to be chosen
 */
export function optionsOf(world: World, { all }: { all: boolean }): Option[] {
  const enabled = enabledOf(world);
  const [first, ...others] = enabled;
  const later = nextTimeOf(world);
  if (!first) return later === undefined ? [] : [{ ...advance(world, later), cost: 'free', isWaiting: true }];
  const { operation } = first;
  if (!operation) return [first.option];
  const inTurn = { ...first.option, isPoint: true };
  if (!all) return [inTurn];
  const options = [inTurn, ...others.map(({ option }): Option => ({ ...option, cost: 'deviation' }))];
  if (!first.isPostponed && others.length > 0) options.push(postpone(operation));
  if (later !== undefined) options.push(advance(world, later));
  options.push(...faultsOf(world, operation));
  return options;
}

function enabledOf(world: World): Enabled[] {
  const enabled: Enabled[] = [];
  for (const operation of world.operations) {
    const { process, sequence, isPostponed, notBefore: since } = operation;
    if (since > world.time) continue;
    const isHeard = process?.state === 'running';
    if (operation.hasTakenEffect && !isHeard) continue;
    const label = operation.hasTakenEffect ? `hears of: ${operation.name}` : operation.name;
    const option = step(world, process, label, () => complete(world, operation));
    enabled.push({ since, sequence, isPostponed, operation, option });
  }
  for (const process of world.processes) {
    if (process.state === 'dead') continue;
    if (process.state === 'frozen') {
      const isReplaced = process.thawsWhenLost.some(
        (slot) =>
          !world.slotsOf(process).includes(slot) && world.database.slots.get(slot)?.owner !== undefined,
      );
      if (process.thawsAt > world.time && !isReplaced) continue;
      const option = step(world, process, 'thaws', () => thaw(world, process));
      enabled.push({ since: Math.min(process.thawsAt, world.time), sequence: 0, isPostponed: false, option });
      continue;
    }
    for (const timer of process.timers) {
      if (timer.dueAt > world.time) continue;
      const option = step(world, process, 'timer', () => fire(process, timer));
      enabled.push({ since: timer.dueAt, sequence: timer.sequence, isPostponed: false, option });
    }
  }
  return enabled.sort(
    (a, b) => Number(a.isPostponed) - Number(b.isPostponed) || a.since - b.since || a.sequence - b.sequence,
  );
}

/** An operation takes effect, and its process hears of it unless it can't now. */
function complete(world: World, operation: Operation): void {
  const { process } = operation;
  if (!operation.hasTakenEffect) operation.takeEffect();
  const isHeard = process?.state === 'running';
  if (isHeard) operation.deliver();
  if (isHeard || process?.state !== 'frozen') world.operations.delete(operation);
}

function thaw(world: World, process: RelayProcess): void {
  process.state = 'running';
  world.disturbedAt = world.time;
}

function fire(process: RelayProcess, timer: VirtualTimer): void {
  process.timers.delete(timer);
  timer.callback();
}

function step(world: World, process: RelayProcess | undefined, label: string, take: () => void): Option {
  const text = `${world.time} ${process?.name ?? '-'} ${label}`;
  return { cost: 'free', label: text, take: () => (process ? world.run(process, take) : take()) };
}

/** A slow operation: it comes after all else that can happen at this time. */
function postpone(operation: Operation): Option {
  return {
    cost: 'deviation',
    label: `(${operation.process?.name ?? '-'} ${operation.name} is slow)`,
    take: () => (operation.isPostponed = true),
  };
}

function advance(world: World, to: number): Option {
  return {
    cost: 'deviation',
    label: `(${to - world.time} ms pass)`,
    take: () => {
      world.time = to;
      // So slow is a fault of its own.
      const isSlow = [...world.operations].some(({ notBefore }) => to - notBefore > LEASE_MS / 2);
      if (isSlow) world.excuses.hasFault = true;
    },
  };
}

/** When something can happen that can't at this time. */
function nextTimeOf(world: World): number | undefined {
  let next = Infinity;
  const consider = (at: number): void => {
    if (at > world.time && at < next) next = at;
  };
  for (const { notBefore } of world.operations) consider(notBefore);
  for (const process of world.processes) {
    if (process.state === 'frozen') consider(process.thawsAt);
    if (process.state === 'running') for (const { dueAt } of process.timers) consider(dueAt);
  }
  return next === Infinity ? undefined : next;
}
