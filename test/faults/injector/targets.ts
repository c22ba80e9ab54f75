import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import type { Actor, Role, Stage } from '../stage/stage.ts';

const POLL_MS = 25;

/** The process that the plan means, among those that live now. */
export function targetOf(stage: Stage, role: Role, { target = 0 }: PlannedFault): Actor | undefined {
  const actors = stage.actors(role);
  return actors[target % actors.length];
}

/** @returns whether the condition came true in time */
export async function becomes(condition: () => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
