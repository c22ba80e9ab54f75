import { isSettled } from '../world/is-settled.ts';
import type { Scenario } from '../world/scenario.ts';
import { HORIZON_MS } from '../world/settings.ts';
import { optionsOf, type Option } from '../world/steps.ts';
import { installVirtualTimers } from '../world/virtual-timers.ts';
import { World } from '../world/world.ts';

/** Decides what happens at the points of a run. */
export interface Chooser {
  /** Whether it wants to see the options of a point; otherwise the first one is taken. */
  readonly isAsked: (point: number) => boolean;
  /** @returns the number of the option that is taken; 0 is what would happen by itself */
  readonly choose: (options: readonly Option[], point: number) => number;
}

/** What came of a run. */
export interface Run {
  /** The costs of the options at each point, which is a step that another one could have taken the place of. */
  readonly points: readonly (readonly Option['cost'][])[];
  readonly trace: readonly string[];
  readonly violations: readonly string[];
  readonly seen: Readonly<Seen>;
}

/** What has happened in a run, or in many, beside the rule. */
export type Seen = Record<'duplicates' | 'deadLetters' | 'fencedWrites' | 'newNames', number>;

export const NOTHING_SEEN: Seen = { duplicates: 0, deadLetters: 0, fencedWrites: 0, newNames: 0 };

export function addSeen(a: Seen, b: Seen): Seen {
  return {
    duplicates: a.duplicates + b.duplicates,
    deadLetters: a.deadLetters + b.deadLetters,
    fencedWrites: a.fencedWrites + b.fencedWrites,
    newNames: a.newNames + b.newNames,
  };
}

/** No run is so long unless something goes round in circles. */
const MAX_STEPS = 4_000;

/** Runs a scenario from its start to its end, as the choices say: the same choices give the same run. */
export async function run(scenario: Scenario, { isAsked, choose }: Chooser): Promise<Run> {
  const world = new World(scenario);
  const restore = installVirtualTimers(() => world.running);
  const points: Option['cost'][][] = [];
  const trace: string[] = [];
  const { violations } = world.invariants;
  try {
    while (violations.length === 0) {
      const point = points.length;
      const options = optionsOf(world, { all: isAsked(point) });
      const [inTurn] = options;
      if ((!inTurn || inTurn.isWaiting) && isSettled(world)) break;
      const lateMs = world.time - world.disturbedAt;
      if (options.length === 0 || lateMs > HORIZON_MS || trace.length > MAX_STEPS) {
        violations.push(`All works, and after ${lateMs} ms it is still not done: ${describe(world)}`);
        break;
      }
      const isPoint = inTurn?.isPoint ?? false;
      const number = isPoint ? choose(options, point) : 0;
      if (isPoint) points.push(options.map(({ cost }) => cost));
      const option = options[number];
      if (!option) throw new Error(`There is no option ${number} at point ${point}.`);
      trace.push(number === 0 ? `  ${option.label}` : `> ${option.label}`);
      option.take();
      await microtasksAreOver();
      world.invariants.afterStep();
    }
  } finally {
    restore();
  }
  // The process itself is to stay responsive.
  await new Promise((resolve) => setImmediate(resolve));
  const names = world.processes.reduce((sum, { instances }) => sum + instances.size, 0);
  const seen = { ...world.invariants.seen, newNames: names - world.processes.length };
  return { points, trace, violations, seen };
}

/** Whatever the step has set going goes on until it waits for another step: ticks come when all microtasks are over. */
function microtasksAreOver(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function describe({ database, processes }: World): string {
  const waiting = [...database.entries.values()].map(({ entry }) => entry.id);
  const shares = processes
    .map((process) => `${process.name} (${process.state}, has ${process.usable().length})`)
    .join(', ');
  const slots = [...database.slots].map(([slot, { owner }]) => `${slot}: ${owner ?? 'nobody'}`);
  return `entries [${waiting.join(' ')}], slots [${slots.join(', ')}], processes ${shares}`;
}
