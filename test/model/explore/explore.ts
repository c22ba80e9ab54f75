import type { Scenario } from '../world/scenario.ts';
import { addSeen, NOTHING_SEEN, run, type Chooser, type Run, type Seen } from './run.ts';

/** How far an exploration goes. */
export interface Bound {
  /** How many steps of a run may come out of turn. */
  readonly deviations: number;
  readonly faults: number;
  /** Only the first so many steps of a run are chosen; after them, each comes in its turn. */
  readonly points: number;
  /** Faults come within the first so many of them; `points` unless given. */
  readonly faultPoints?: number;
}

/** At a point of a run, another option than the first. */
export interface Choice {
  readonly point: number;
  readonly option: number;
}

/** What an exploration has found. */
export interface Exploration {
  readonly interleavings: number;
  readonly failure: Failure | undefined;
  readonly seen: Seen;
}

/** A run that breaks a promise. */
export interface Failure {
  readonly choices: readonly Choice[];
  readonly run: Run;
}

interface Branch extends Bound {
  readonly choices: readonly Choice[];
}

/**
 * Runs a scenario in every way that is within the bound, each once, those with the fewest choices first. Stops at the
 * first run that breaks a promise.
 */
export async function explore(scenario: Scenario, bound: Bound): Promise<Exploration> {
  let level: Branch[] = [{ ...bound, choices: [] }];
  let interleavings = 0;
  let seen = NOTHING_SEEN;
  while (level.length > 0) {
    const next: Branch[] = [];
    for (const branch of level) {
      const done = await run(scenario, chooserOf(branch));
      interleavings++;
      seen = addSeen(seen, done.seen);
      if (done.violations.length > 0)
        return { interleavings, seen, failure: { choices: branch.choices, run: done } };
      next.push(...branchesOf(branch, done));
    }
    level = next;
  }
  return { interleavings, seen, failure: undefined };
}

/** Runs a scenario with these choices, and nothing else out of turn. */
export function replay(scenario: Scenario, choices: readonly Choice[]): Promise<Run> {
  return run(scenario, chooserOf({ choices, deviations: 0, faults: 0, points: 0 }));
}

function chooserOf({ choices, deviations, faults, points }: Branch): Chooser {
  const byPoint = new Map(choices.map(({ point, option }) => [point, option]));
  const last = choices.at(-1)?.point ?? -1;
  const hasMore = deviations + faults > 0;
  return {
    isAsked: (point) => byPoint.has(point) || (hasMore && point > last && point < points),
    choose: (_, point) => byPoint.get(point) ?? 0,
  };
}

/** The runs with one choice more, after those that were made. */
function branchesOf(branch: Branch, done: Run): Branch[] {
  const { choices, deviations, faults, points, faultPoints = points } = branch;
  const branches: Branch[] = [];
  if (deviations + faults === 0) return branches;
  const first = (choices.at(-1)?.point ?? -1) + 1;
  done.points.slice(0, points).forEach((costs, point) => {
    if (point < first) return;
    costs.forEach((cost, option) => {
      const left = {
        deviations: deviations - Number(cost === 'deviation'),
        faults: faults - Number(cost === 'fault'),
      };
      if (option === 0 || left.deviations < 0 || left.faults < 0) return;
      if (cost === 'fault' && point >= faultPoints) return;
      branches.push({ ...branch, ...left, choices: [...choices, { point, option }] });
    });
  });
  return branches;
}
