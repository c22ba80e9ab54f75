import { Random } from '../../faults/plan/random.ts';
import type { Scenario } from '../world/scenario.ts';
import type { Bound, Choice, Exploration } from './explore.ts';
import { addSeen, NOTHING_SEEN, run, type Chooser } from './run.ts';

/** How often a walk leaves the order in which things come by themselves. */
const DEVIATION_RATE = 0.15;
const FAULT_RATE = 0.03;

/** Runs a scenario many times, each with choices of its own that the seed tells, within the bound. */
export async function walk(
  scenario: Scenario,
  bound: Bound,
  walks: number,
  seed: number,
): Promise<Exploration> {
  let seen = NOTHING_SEEN;
  for (let index = 0; index < walks; index++) {
    const choices: Choice[] = [];
    const random = new Random(seed + index);
    let { deviations, faults } = bound;
    const choose: Chooser['choose'] = (options, point) => {
      const wanted = random.chance(FAULT_RATE)
        ? 'fault'
        : random.chance(DEVIATION_RATE)
          ? 'deviation'
          : 'free';
      if (wanted === 'free' || (wanted === 'fault' ? faults : deviations) === 0) return 0;
      const candidates = options.flatMap(({ cost }, option) => (cost === wanted ? [option] : []));
      if (candidates.length === 0) return 0;
      if (wanted === 'fault') faults--;
      else deviations--;
      const option = random.pick(candidates);
      choices.push({ point, option });
      return option;
    };
    const done = await run(scenario, { isAsked: (point) => point < bound.points, choose });
    seen = addSeen(seen, done.seen);
    if (done.violations.length > 0)
      return { interleavings: index + 1, seen, failure: { choices, run: done } };
  }
  return { interleavings: walks, seen, failure: undefined };
}
