import { parseArgs } from 'node:util';
import { FAULT_KINDS, PAIR_NAMES, type FaultKind, type PairName } from '../plan/fault.ts';

export interface FaultArguments {
  readonly minutes: number;
  readonly seed: number;
  readonly pairs: readonly PairName[];
  readonly kinds: readonly FaultKind[];
  /** Keep the history of a run that has passed, too. */
  readonly keep: boolean;
  /** Print the plan and do nothing. */
  readonly plan: boolean;
  /** One pair after the other: where two cores are too few for both at once. */
  readonly serial: boolean;
  /** Run against mutations of the library, each of which must be found. */
  readonly mutations: boolean;
}

/** @throws Error that says which argument is wrong and what it may be */
export function parseArguments(args: readonly string[]): FaultArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      pair: { type: 'string', default: 'both' },
      faults: { type: 'string', default: FAULT_KINDS.join(',') },
      keep: { type: 'boolean', default: false },
      plan: { type: 'boolean', default: false },
      serial: { type: 'boolean', default: false },
      mutations: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: give a number over 0`);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: give a whole number`);
  const { keep, plan, serial, mutations } = values;
  const pairs = values.pair === 'both' ? PAIR_NAMES : choice('--pair', values.pair, PAIR_NAMES);
  return {
    minutes,
    seed,
    pairs,
    kinds: choice('--faults', values.faults, FAULT_KINDS),
    keep,
    plan,
    serial,
    mutations,
  };
}

function choice<T extends string>(option: string, value: string, allowed: readonly T[]): T[] {
  const names = value.split(',');
  const unknown = names.filter((name) => !allowed.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`${option} ${unknown.join()}: there are ${allowed.join(', ')}`);
  return allowed.filter((name) => names.includes(name));
}
